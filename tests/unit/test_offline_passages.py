"""From search hits to the sentence, list item or table cell that answers, or to none."""

import pytest

from serving.models.offline.passages import Unit, units
from serving.models.offline.question import ask
from serving.models.offline.ranking import best
from serving.models.offline.totals import amount, furthest, summands


def found(text: str, path: str = "notes.md", heading: str = "") -> tuple[Unit, ...]:
    return units({"ref": f"{path}#0", "path": path, "heading": heading, "text": text}, {})


def answer(question: str, text: str, heading: str = "") -> str:
    return " / ".join(scored.unit.text for scored in best(ask(question), found(text, heading=heading)))


LIMITS = """| Amount | Approved by |
|---|---|
| up to 500 EUR | team lead |
| 500 to 5,000 EUR | head |
| above 5,000 EUR | board |"""
PLANS = "Plan | Notice | Storage\nStarter | 14 days | 50 GB\nTeam | one month | 1 TB\nEnterprise | three months | 10 TB"


@pytest.mark.parametrize(
    ("amount_", "who"),
    [("above 5,000 EUR", "board"), ("of 750 EUR", "head"), ("of 500 EUR", "team lead"), ("of 20 EUR", "team lead")],
)
def test_the_rule_for_the_amount_in_question_answers(amount_: str, who: str) -> None:
    said = answer(f"Who approves expenses {amount_}?", LIMITS, heading="Expenses")
    assert said.endswith(f"Approved by: {who}")


def test_a_cell_is_found_by_its_row_and_its_column() -> None:
    assert answer("How much storage has the Team plan?", PLANS) == "Team – Storage: 1 TB"


def test_another_product_is_no_answer() -> None:
    text = "The X200 is our best seller. The X100 has a warranty of 12 months."
    assert answer("How long is the warranty on the X200?", text) == ""


def test_a_name_carries_over_to_the_next_sentence() -> None:
    text = "The warranty on the X200 is generous. It lasts 24 months from delivery."
    assert "24 months" in answer("How long is the warranty on the X200?", text)


def test_a_passage_without_the_asked_attribute_is_no_answer() -> None:
    assert answer("What is the salary of the ward manager?", "Overtime is approved by the ward manager.") == ""


def test_how_many_wants_a_number_of_that_very_thing() -> None:
    text = "Employees get 28 days of leave. The company was founded in 1974."
    assert answer("How many employees does the company have?", text) == ""
    assert "212" in answer("How many people work for the company?", f"{text} Today 212 people work here.")


def test_the_answer_stands_under_a_heading_that_asks() -> None:
    text = "Solar panels last 30 years.\n## How long does installation take?\nTwo days for most houses.\n"
    assert answer("How long does it take to install panels?", text) == "Two days for most houses."


def test_the_named_items_are_added_and_those_of_another_list_are_not() -> None:
    report = found(
        "| Item | Amount (EUR) |\n|---|---|\n| Travel | 412.80 |\n| Hotel | 287.00 |\n| Meals | 96.45 |",
        "trip-report.md",
    )
    rules = found("Hotel costs are covered up to 130 EUR a night. Travel by rail is the rule.", "handbook.md")
    parts = summands(ask("Sum the travel and hotel costs in the trip report"), (*report, *rules))
    assert [str(quantity.amount) for _, quantity in parts] == ["412.80", "287.00"]


def test_the_furthest_of_all_passages_is_taken_in_comparable_units() -> None:
    chosen = furthest(ask("Which plan has the longest notice?"), found(PLANS))
    assert chosen is not None
    assert chosen.text == "Enterprise – Notice: three months"


def test_a_figure_takes_the_unit_of_its_column() -> None:
    cell = next(unit for unit in found("| Item | Sum in EUR |\n|---|---|\n| Hotel | 244.60 |") if unit.kind == "cell")
    figure = amount(cell)
    assert figure is not None
    assert (str(figure.amount), figure.dimension) == ("244.60", "money")
