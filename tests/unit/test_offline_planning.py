"""How the offline model cuts a goal into steps, compares, and calculates."""

from decimal import Decimal

import pytest

from graph.ports import Overview, PlanTask
from graph.state import Step
from serving.models.offline.arithmetic import expression, is_arithmetic
from serving.models.offline.comparing import comparison, value_for, verdict
from serving.models.offline.language import quantities
from serving.models.offline.planning import clauses, plan


def steps(goal: str, *previous: tuple[str, str]) -> tuple[Step, ...]:
    return plan(PlanTask(goal=goal, overview=Overview(), previous=previous)).steps


@pytest.mark.parametrize(
    ("goal", "count"),
    [
        ("How long is the warranty, and who approves refunds?", 2),
        ("Sum the travel and hotel costs in the trip report.", 1),
        ("What is the fee? When is it due? Who pays it?", 3),
        ("I always want amounts in EUR. What does the plan cost?", 1),
        ("Please find out when the office opens, then tell me who has the keys.", 2),
        ("Warranty of the X200 pump", 1),
        ("When was the company founded and by whom?", 1),
    ],
)
def test_a_goal_is_cut_where_a_new_question_begins(goal: str, count: int) -> None:
    assert len(clauses(goal)) == count


def test_writing_and_sending_wait_for_what_they_report() -> None:
    found, written, sent = steps("Find the refund period, write it to refunds.md and send it to [EMAIL_1].")
    assert (found.depends_on, written.depends_on, sent.depends_on) == ((), ("s1",), ("s1",))
    assert (written.tools, sent.tools) == (("write_artifact",), ("send_email",))


def test_a_file_brings_its_own_look_up() -> None:
    found, written = steps("Write a short summary of the refund policy to refunds.md")
    assert found.goal == "Summarise the refund policy"
    assert written.depends_on == (found.id,)


def test_a_question_that_points_back_keeps_its_subject() -> None:
    assert "refund" in steps("What is the refund period and who approves it?")[1].goal
    assert (
        "notice period" in steps("And for the Pro plan?", ("What is the notice period of Basic?", "One month."))[0].goal
    )


def test_a_comparison_looks_up_both_sides_first() -> None:
    basic, pro, compared = steps("Which plan has the longer notice period, Basic or Pro?")
    assert (basic.goal, pro.goal) == ('What is the notice period of "Basic"?', 'What is the notice period of "Pro"?')
    assert compared.depends_on == ("s1", "s2")


def test_more_than_twelve_questions_still_make_a_plan() -> None:
    assert len(steps(" ".join(f"What is the price of item {n}?" for n in range(40)))) == 12


def test_values_are_compared_across_units() -> None:
    compared = comparison("Which plan has the shorter notice period, Basic or Plus?")
    assert compared is not None
    text = "Basic: 29 USD a month, notice period one month. Plus: 45 USD a month, notice period two weeks."
    values = [value_for(a, b, compared.attribute, text) for a, b in (("Basic", "Plus"), ("Plus", "Basic"))]
    assert [value.text for value in values if value] == ["one month", "two weeks"]
    said = verdict(compared, [value for value in values if value])
    assert said == "Plus has the shorter notice period: two weeks, against one month for Basic."


def test_equal_values_are_called_equal() -> None:
    compared = comparison("Which is cheaper, Basic or Plus?")
    assert compared is not None
    assert verdict(compared, (quantities("5 EUR")[0], quantities("5.00 EUR")[0])).startswith("Basic and Plus are equal")


@pytest.mark.parametrize(
    ("text", "sum_"),
    [
        ("what is 15% of 2,340 plus 12.5?", "15/100*2340+12.5"),
        ("What is (12.5 + 7.5) * 3 / 4?", "(12.5+7.5)*3/4"),
        ("the sum of 3, 4 and 5", "3+4+5"),
        ("the average of 4, 8 and 15", "avg(4, 8, 15)"),
        ("What is 110 divided by 20", "110/20"),
        ("half of 90 minus 5", "1/2*90-5"),
        ("250 plus 19%", "250*(1+19/100)"),
    ],
)
def test_a_sum_in_words_becomes_an_expression(text: str, sum_: str) -> None:
    assert expression(text) == sum_
    assert is_arithmetic(text)


def test_what_is_known_stands_in_for_it() -> None:
    assert expression("What is 20% of that?", Decimal(3400)) == "20/100*3400"


@pytest.mark.parametrize(
    "text", ["What was the revenue in the first quarter of 2026?", "Is room 12 - 14 free?", "How old is it?"]
)
def test_a_question_with_numbers_is_not_yet_a_sum(text: str) -> None:
    assert not is_arithmetic(text)
