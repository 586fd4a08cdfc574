"""Words, amounts and degrees as the offline model reads them."""

import pytest

from serving.documents.words import words
from serving.models.offline.english import covers, degree, number_of, quantities


@pytest.mark.parametrize(
    ("asked", "said"), [("approves", "approval"), ("fee", "costs"), ("owns", "owner"), ("borrowed", "borrower")]
)
def test_a_word_is_found_in_another_form_or_by_one_that_stands_for_it(asked: str, said: str) -> None:
    (word,) = words(asked)
    assert covers(word, f"the {said} of it") > 0.5


@pytest.mark.parametrize(
    ("text", "number"), [("5,000", 5000), ("7.50", 7.5), ("4,90", 4.9), ("two", 2), ("x", None), ("1.2.3", None)]
)
def test_numbers_are_read_with_either_separator(text: str, number: float | None) -> None:
    found = number_of(text)
    assert (float(found) if found is not None else None) == number


@pytest.mark.parametrize(
    ("text", "amount", "unit", "shown"),
    [
        ("within 5 working days of delivery", "5", "day", "5 working days"),
        ("costs € 12.50 a month", "12.5", "€", "€ 12.50"),
        ("EUR 1,200 including travel", "1200", "EUR", "EUR 1,200"),
        ("two weeks' notice", "2", "week", "two weeks"),
        ("4,200 litres of water a week", "4200", "litres", "4,200 litres"),
        ("99.95% of the time", "99.95", "%", "99.95%"),
    ],
)
def test_a_quantity_has_an_amount_and_a_unit(text: str, amount: str, unit: str, shown: str) -> None:
    found = quantities(text)[0]
    assert (found.amount, found.unit, found.text) == (amount, unit, shown)


def test_amounts_of_one_dimension_compare_across_units() -> None:
    years, months = quantities("3 years, against 18 months")
    assert years.dimension == months.dimension
    assert years.size > months.size


def test_dates_times_and_codes_hold_no_quantities() -> None:
    assert not quantities("INV-26-100 was issued on 2026-03-14 at 14:00, that of 4 May 2026 by SEV2")


def test_what_compares_looks_up_or_down() -> None:
    signs = [degree(word).sign for word in ("longest", "more", "fewest", "cheaper", "number", "interest")]
    assert signs == [1, 1, -1, -1, 0, 0]
    assert degree("heaviest").dimensions == {"mass"}
