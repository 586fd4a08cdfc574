"""Words, numbers and ranges as the offline model reads them."""

from decimal import Decimal

import pytest

from serving.models.offline.language import actor, kin, number_of, quantities, ranges, stem, stems


@pytest.mark.parametrize(
    "words",
    [
        "approve approval approves approved",
        "deliver delivery deliveries delivered",
        "cancel cancellation cancelled cancelling",
        "generate generated generation",
        "pay paid payment payments payable",
        "invoice invoices invoiced",
        "expense expenses",
    ],
)
def test_forms_of_a_word_share_a_stem(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


def test_a_customer_is_not_the_customs() -> None:
    assert stem("customer") != stem("customs")


def test_who_does_a_thing_is_kin_to_the_deed() -> None:
    assert actor(stem("borrower")) == stem("borrowed")
    assert stem("translator") in kin(stem("translated"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5,000", 5000),
        ("1.234,50", Decimal("1234.50")),
        ("7.50", Decimal("7.50")),
        ("4,90", Decimal("4.90")),
        ("x", None),
    ],
)
def test_numbers_are_read_with_either_separator(text: str, number: Decimal | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "amount", "unit", "shown"),
    [
        ("within 5 working days of delivery", 5, "day", "5 working days"),
        ("costs € 12.50 a month", Decimal("12.50"), "€", "€ 12.50"),
        ("EUR 1,200 including travel", 1200, "eur", "EUR 1,200"),
        ("forty-two colleagues took part", 42, "colleagu", "forty-two colleagues"),
        ("a budget of 2.5 million USD", 2_500_000, "usd", "2.5 million USD"),
        ("it weighs 30kg", 30, "kg", "30kg"),
        ("99.95% of the time", Decimal("99.95"), "%", "99.95%"),
    ],
)
def test_a_quantity_has_an_amount_and_a_unit(text: str, amount: Decimal, unit: str, shown: str) -> None:
    found = quantities(text)[0]
    assert (found.amount, found.unit, found.text) == (amount, unit, shown)


def test_dates_times_and_codes_hold_no_quantities() -> None:
    assert quantities("INV-26-100 was issued on 2026-03-14 at 14:00, that of 4 May 2026 by SEV2") == ()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("up to 500 EUR", None, 500),
        ("above 5,000 EUR", 5000, None),
        ("500 to 5,000 EUR", 500, 5000),
        ("8 EUR or more", 8, None),
    ],
)
def test_a_rule_sets_bounds(text: str, low: int | None, high: int | None) -> None:
    (found,) = ranges(text)
    assert found[0] == low if low is not None else found[0] < 0
    assert found[1] == high if high is not None else found[1] > 10**12


def test_a_phrase_stands_for_a_word() -> None:
    assert stem("approve") in stems("The head of finance signs off every order")
