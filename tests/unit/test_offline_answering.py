"""From search hits to the sentence, list item, table cell or figure that answers, or to none."""

import pytest

from graph.tools.builtin.arithmetic import calculate
from serving.models.offline.answering import answer
from serving.models.offline.facts import facts
from serving.models.offline.ranking import ask

PLANS = """Our plans:
Plan | Notice | Storage
Starter | 14 days | 50 GB
Team | one month | 1 TB
Enterprise | three months | 10 TB"""
REPORT = "| Item | Amount (EUR) |\n|---|---|\n| Travel | 412.80 |\n| Hotel | 287.00 |\n| Meals | 96.45 |"
RULES = "Hotel costs are covered up to 130 EUR a night. Travel by rail is the rule."


def said(question: str, *texts: str, heading: str = "") -> str:
    """The answer, with the calculator's own arithmetic; empty for none that is sure."""
    hits = [
        {"ref": f"{name}.md#0", "path": f"{name}.md", "heading": heading, "text": text}
        for name, text in zip(("trip-report", "handbook"), texts, strict=False)
    ]
    looking, result = answer(ask(question), facts(hits)), None
    try:
        call = next(looking)
        while True:
            result = {"value": calculate(call[1]["expression"])}
            call = looking.send(result)
    except StopIteration as end:
        return str(end.value.text) if end.value and end.value.sure else ""


@pytest.mark.parametrize(
    ("question", "text", "found"),
    [
        ("How much storage has the Team plan?", PLANS, "Storage: 1 TB"),
        ("Who approves refunds?", "Refunds are approved by the shop manager.", "shop manager"),
        (
            "How long is the warranty on the X200?",
            "The X200 has a warranty. It lasts 24 months from delivery.",
            "24 months",
        ),
        ("How many people work here?", "It was founded in 1974. Today 212 people work here.", "212"),
        ("How many vacation days do I get?", "Everybody gets 30 days of vacation a year.", "30 days"),
        ("How long does installation take?", "## How long does installation take?\nTwo days.\n", "Two days"),
        (
            "When is the boiler inspected next?",
            "- Boiler: inspected in May 2025. The next is due in June 2026.",
            "June",
        ),
        ("Who buys the paint?", "Who | What\nIda Moss | brushes\nOla Berg | purchasing: paint, paper", "Ola Berg"),
        ("How long does it take (about: What does a tour cost)", "A tour costs 9 EUR. It takes an hour.", "an hour"),
        ("How much is a locker?", "A locker costs £2.50 a day.\nMembers get a card that makes lockers free.", "£2.50"),
        ("Who is Ariel?", "The Tempest\nAriel, a spirit ........ Ida Moss", "Ida Moss"),
        ("How long are parcels in the store?", "What | Days in the store\nParcels | 10\nLetters | 30", "10"),
        ("Where are the keys?", "Where | What\nblue board | keys of the vans\nsafe | petty cash", "blue board"),
        ("By what time must I call?", "Call us by 8.15. The office calls at 8.30 if you must.", "8.15"),
        ("What may I spend on tools?", "Tools: 90 EUR may be spent.\nKeys: 30 EUR.", "90 EUR"),
        ("How deep is the dock at low tide?", "At low tide the dock has 1.9 metres of water.", "1.9 metres"),
        ("At what temperature is the serum kept?", "The serum is kept at 4 °C.\nThe gel is kept dry.", "4 °C"),
    ],
)
def test_the_passage_that_answers_is_quoted(question: str, text: str, found: str) -> None:
    assert found in said(question, text)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How long is the warranty on the X200?", "The X200 sells well. The X100 has a warranty of 12 months."),
        ("What is the salary of the ward manager?", "Overtime is approved by the ward manager."),
        ("Who is the ward manager?", "Shifts are swapped with the ward manager."),
        ("How many employees does the company have?", "Employees get 28 days of leave."),
        ("What does the racing course cost?", "The radio course takes one evening and costs 45 EUR."),
        ("What is the total of the fees?", "Fees are due in May."),
        ("How much rent do we pay for the shop on Mill Lane?", "In 2016 we moved to the shop on Mill Lane."),
        ("How many X200 pumps are in use?", "He replaces nine X100 pumps by X200 pumps."),
        ("What does a day ticket for the lift cost?", "The season ticket for the lift is sold at half price, 90 EUR."),
        ("What does the kit cost in total?", "The prices of the kit are from May 2026, VAT included."),
        ("What does the kit cost in total?", "The kit costs 90 EUR to hire."),
        ("How many X200 pumps were sold in total?", "Warranty:\n- X100 pump: 12 months\n- X200 pump: 36 months"),
        ("What time does the Tuesday class begin?", "Beginners: first Tuesday of the month"),
        ("How much do we pay the trainer?", "Ida Moss is the trainer of the juniors, from 17:00 to 19:00."),
        ("Which is heavier, the oak door or the pine door?", "The oak door costs 90 EUR. The pine door weighs 9 kg."),
        ("Which saw is lighter, the Fox 5 or the Elk 2?", "Fox 5 cuts oak and beech.\n\nElk 2 cuts pine only."),
        ("Which scores higher, the Fox 5 or the Elk 2?", "Fox 5 scores well.\n\nElk 2 scores badly."),
        ("Which flat is bigger, 3 or 5?", "Flat | Bedrooms | Size\n3 | 2 | 61\n5 | 3 | 77"),
        ("Which room is smaller, oak or pine?", "Room | Beds | Size\nOak | 2 | 61\nPine | 4 | 77"),
    ],
)
def test_another_product_attribute_or_kind_of_value_is_no_answer(question: str, text: str) -> None:
    assert said(question, text) == ""


def test_the_named_items_of_one_list_are_added() -> None:
    assert said("Sum the travel and hotel costs in the trip report", REPORT, RULES).startswith("Total: 699.8")


def test_a_list_is_added_up_whole_when_no_item_is_named() -> None:
    assert said("What did the trip cost in total?", REPORT, RULES).startswith("Total: 796.25")


def test_two_options_are_compared_in_comparable_units() -> None:
    assert said("Which plan has the longer notice, Starter or Team?", PLANS).startswith(
        "Longer: Team, one month; Starter, 14 days."
    )


def test_a_figure_is_the_one_that_stands_nearest_to_what_is_asked() -> None:
    text = "Heating cost €312 in 2025, after €367 in 2024. Electricity cost €124 in 2025 and €119 in 2024."
    assert said("How much did heating and electricity cost together in 2025?", text).startswith("Total: €436.")


def test_the_figures_of_one_sentence_are_added_and_never_subtracted() -> None:
    text = "The van costs €640, the tent €120 and the guest house €1,870."
    assert said("How much do the van, the tent and the guest house cost together?", text) == f"Total: €2630.\n{text}"
    assert said("How much do the van and the tent cost together?", text) == f"Total: €760.\n{text}"


def test_a_price_for_each_of_several_counts_as_often() -> None:
    text = "We replace the bench (£340) and plant four lime trees (£95 each)."
    assert said("What do the bench and the lime trees cost in total?", text).startswith("Total: £720.")


def test_a_price_per_month_is_not_added_to_one_that_is_paid_once() -> None:
    text = "The contract costs €1,240 a month for cleaning and €690 for carpets."
    assert not said("What does the contract cost in total?", text).startswith("Total")


def test_one_figure_of_each_of_several_documents_is_added() -> None:
    bills = ("# Invoice INV-1\nNet        100.00\nTotal due     GBP 120.00", "# Invoice INV-2\nTotal due   GBP 80.00")
    assert said("What is the total due on INV-1 and INV-2 together?", *bills).startswith("Total: 200 GBP.")


def test_a_sentence_without_a_subject_is_about_what_stands_before_it() -> None:
    probes = "Hydra 5. Weighs 2.1 kg. Limna 2. Weighs 3.4 kg."
    assert said("Which probe is lighter, the Hydra 5 or the Limna 2?", probes).startswith("Lighter: Hydra 5, 2.1 kg")


def test_the_next_sentence_is_quoted_where_it_names_what_the_best_one_leaves_out() -> None:
    text = "Hot desks can be cancelled with two weeks' notice. Fixed desks need two months."
    assert "Fixed desks need two months." in said("How much notice do I need to cancel a fixed desk?", text)


def test_an_adjective_of_length_or_of_time_is_said_of_either() -> None:
    text = "The tower clock has a pendulum of 2.6 m and runs for 30 hours. The hall clock has a pendulum of 99 cm."
    asked = "Which has the longer pendulum, the tower clock or the hall clock?"
    assert said(asked, text).startswith("Longer: tower clock, 2.6 m; hall clock")


def test_what_a_price_was_before_it_changed_is_not_compared() -> None:
    text = "The price at Medis has gone up from £4.60 to £5.10 a box. Carewell offers £4.85 a box."
    assert said("Which is cheaper, a box from Medis or from Carewell?", text).startswith("Cheaper: Carewell, £4.85")


def test_the_cells_of_a_table_need_no_unit_to_be_compared() -> None:
    text = "Room | Seats | Evening\nStudio | 48 | 240\nHall | 186 | 650"
    assert said("Which is more expensive for an evening, the studio or the hall?", text).startswith(
        "More expensive: hall, 650; studio, 240."
    )


@pytest.mark.parametrize(
    ("question", "ahead"),
    [
        ("Is the limit higher in Lyon or in Porto?", "Higher: Porto, 185; Lyon, 170."),
        ("Which is cheaper for a night, Porto or Lyon?", "Cheaper: Lyon, 170; Porto, 185."),
    ],
)
def test_what_is_set_side_by_side_is_named_as_the_documents_name_it(question: str, ahead: str) -> None:
    assert said(question, "City | Limit for a night\nLyon | 170\nPorto | 185").startswith(ahead)


def test_a_column_is_one_list_whatever_its_rows_are_called() -> None:
    text = "Loaf | Price\nCountry loaf | £4.60\nBaguette | £2.20"
    assert said("Which loaf is the cheapest?", text) == "Baguette – Price: £2.20"


def test_each_clause_of_a_sentence_has_a_figure_of_its_own() -> None:
    quiz = "The pub quiz was won by the Null Pointers with 52 points, before the Spreadsheets with 47."
    asked = "Who had more points in the pub quiz, the Null Pointers or the Spreadsheets?"
    assert said(asked, quiz).startswith("More points: Null Pointers, 52 points; Spreadsheets, 47.")


def test_the_furthest_of_all_is_taken() -> None:
    assert said("Which plan has the longest notice?", PLANS) == "Enterprise – Notice: three months"


def test_a_section_whose_heading_is_asked_for_is_quoted_whole() -> None:
    text = "Fill in form C-12. Attach photographs."
    assert said("Summarise the claims", text, heading="Claims") == "- Fill in form C-12.\n- Attach photographs."
