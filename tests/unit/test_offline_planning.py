"""How the offline model cuts a goal into steps, and reads sums in words."""

import pytest

from graph.ports import Overview, PlanTask
from graph.state import Step
from serving.models.offline.planning import clauses, plan
from serving.models.offline.working import expression


def steps(goal: str, *previous: tuple[str, str]) -> tuple[Step, ...]:
    return plan(PlanTask(goal=goal, overview=Overview(), previous=previous)).steps


@pytest.mark.parametrize(
    ("goal", "count"),
    [
        ("How long is the warranty, and who approves refunds?", 2),
        ("Sum the travel and hotel costs in the trip report.", 1),
        ("What is the fee? When is it due? Who pays it?", 3),
        ("Please find out when the office opens, then tell me who has the keys.", 2),
        ("Warranty of the X200 pump", 1),
        ("When was the company founded and by whom?", 1),
        ("When and where is the next meeting?", 1),
    ],
)
def test_a_goal_is_cut_where_a_new_question_begins(goal: str, count: int) -> None:
    assert len(clauses(goal)) == count


def test_what_a_person_states_beside_a_question_is_no_part_of_it() -> None:
    assert clauses("I always want amounts in EUR. What does the plan cost?") == ["What does the plan cost?"]
    assert clauses("Which plan did John D. Example choose?") == ["Which plan did John D. Example choose?"]


def test_writing_and_sending_wait_for_what_they_report() -> None:
    found, written, sent = steps("Find the refund period, write it to refunds.md and send it to [EMAIL_1].")
    assert (found.depends_on, written.depends_on, sent.depends_on) == ((), ("s1",), ("s1",))
    assert (written.tools, sent.tools) == (("write_artifact",), ("send_email",))


@pytest.mark.parametrize(
    ("goal", "inside"),
    [
        ("Write a short summary of the refund policy to refunds.md", "refund policy"),
        ("Send an e-mail to [EMAIL_1] with the carry-over of vacation days.", "the carry-over of vacation days"),
    ],
)
def test_what_a_file_or_an_email_is_to_hold_is_looked_up_first(goal: str, inside: str) -> None:
    found, written = steps(goal)
    assert found.goal == inside
    assert written.depends_on == (found.id,)


def test_a_question_that_points_back_keeps_its_subject() -> None:
    assert "refund" in steps("What is the refund period and who approves it?")[1].goal
    assert (
        "notice period" in steps("And for the Pro plan?", ("What is the notice period of Basic?", "One month."))[0].goal
    )


def test_a_share_of_a_figure_waits_for_the_figure() -> None:
    found, share = steps("How much is 15 % of the heating cost of 2025?")
    assert (found.goal, share.depends_on) == ("What is the heating cost of 2025?", ("s1",))


def test_more_than_twelve_questions_still_make_a_plan() -> None:
    assert len(steps(" ".join(f"What is the price of item {n}?" for n in range(40)))) == 12


@pytest.mark.parametrize(
    ("text", "sum_"),
    [
        ("what is 15% of 2,340 plus 12.5?", "15% of 2,340 + 12.5"),
        ("What is (12.5 + 7.5) * 3 / 4?", "(12.5 + 7.5) * 3 / 4"),
        ("What is 110 divided by 20", "110 / 20"),
        ("What was the revenue in the first quarter of 2026?", ""),
        ("Is room 12 - 14 free?", ""),
        ("How old is it?", ""),
    ],
)
def test_a_sum_in_words_becomes_an_expression(text: str, sum_: str) -> None:
    assert expression(text) == sum_


def test_what_is_known_stands_in_for_it() -> None:
    assert expression("What is 20% of that?", "3400") == "20% of 3400"
