"""What becomes a proposal, what is kept out, and how a new statement stands to the stored ones."""

import time
from datetime import UTC, datetime

import pytest

from memory.errors import MemoryRefused
from memory.item import Item, Owner
from memory.merge import says_the_same, superseded
from memory.proposals import MAX_PROPOSALS, Proposal, extract
from memory.slots import slot_of
from privacy.redact import Redacted, from_record


def stated(text: str) -> Proposal:
    (proposal,) = extract(from_record(text))
    return proposal


def stored(text: str) -> Item:
    proposal = stated(text)
    return Item("an-id", proposal.text, "", proposal.kind, proposal.slot, proposal.confidence, datetime.now(UTC))


def test_only_the_lasting_sentence_of_a_goal_is_proposed() -> None:
    goal = "Hi! I always want amounts in EUR. What is the total for March? Call me Alex."
    proposals = extract(from_record(goal), source="run:1")
    assert [proposal.text for proposal in proposals] == ["I always want amounts in EUR.", "Call me Alex."]
    assert [proposal.kind for proposal in proposals] == ["preference", "profile"]
    assert {proposal.source for proposal in proposals} == {"run:1"}
    assert all(isinstance(proposal.text, Redacted) for proposal in proposals)


def test_text_that_was_not_redacted_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="Redacted"):
        extract("I always want amounts in EUR.")  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", ["[SECRET_1]", "[CREDIT_CARD_2]", "[IBAN_S3]", "[SOME_NEW_KIND_4]"])
def test_a_statement_with_a_secret_is_not_proposed(secret: str) -> None:
    assert not extract(from_record(f"Remember that our code is {secret}."))


def test_a_statement_with_a_persons_placeholder_is_proposed() -> None:
    assert stated("My manager is [PERSON_1].").text == "My manager is [PERSON_1]."


def test_quoted_words_stay_in_the_text_of_a_statement_but_fire_no_rule() -> None:
    assert stated('Remember that "North" is our plant in Porto.').text == 'Remember that "North" is our plant in Porto.'
    assert not extract(from_record("Look up “I always want amounts in USD” please."))


def test_a_decimal_point_or_an_abbreviation_does_not_end_a_statement() -> None:
    assert stated("Always use short units, e.g. kg or 2.5 t.").text == "Always use short units, e.g. kg or 2.5 t."


@pytest.mark.parametrize("length", [301, 5_000])
def test_a_statement_that_is_too_long_is_not_proposed(length: int) -> None:
    assert not extract(from_record("I always want " + "x" * length))


def test_a_pasted_page_of_rules_proposes_nothing() -> None:
    page = "\n".join(f"Always wear helmet number {number}." for number in range(MAX_PROPOSALS + 1))
    assert not extract(from_record(page))


@pytest.mark.parametrize(
    "piece", [". ", "....", "?!", '"', "'", "`", "write ", "always ", "and ", "in any ", ", ", "a.b", "> \n", "my a "]
)
def test_a_huge_hostile_goal_is_judged_within_a_second(piece: str) -> None:
    goal = from_record((piece * 200_000)[:200_000])
    started = time.process_time()
    extract(goal)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("text", "slot"),
    [
        ("I always want amounts in EUR.", "currency"),
        ("We use CHF as our currency.", "our currency"),
        ("Always answer in German.", "language"),
        ("Always write reports in English.", "language of reports"),
        ("Call me Alex.", "name"),
        ("My department is Logistics.", "my department"),
        ("Our fiscal year starts in April.", "fiscal year"),
        ("I work in Porto.", "workplace"),
        ("I always want amounts in USD for American customers.", ""),
        ("Never show amounts in USD.", ""),
        ("I prefer bullet points.", ""),
    ],
)
def test_a_statement_fills_the_slot_it_answers(text: str, slot: str) -> None:
    assert slot_of(text) == slot


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I always want amounts in EUR.", "please always give me amounts in EUR"),
        ("From now on, use tables.", "I prefer tables."),
        ("Never use emojis.", "I hate emojis."),
        ("Remember that our fiscal year starts in April.", "Our fiscal year starts in April."),
    ],
)
def test_the_same_wish_in_other_words_is_the_same(first: str, second: str) -> None:
    assert says_the_same(stated(second), stored(first))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I always want amounts in EUR.", "I always want amounts in USD."),
        ("My department is Logistics.", "My department is Finance."),
        ("Always use tables.", "Never use tables."),
        ("Call me Alex.", "My name is Sam."),
    ],
)
def test_a_contradiction_replaces_what_it_contradicts(first: str, second: str) -> None:
    item = stored(first)
    assert not says_the_same(stated(second), item)
    assert superseded(stated(second), [stored("I prefer bullet points."), item]) == item


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("We always ship to Porto.", "We always ship from Porto."),
        ("I prefer tables over lists.", "I prefer lists over tables."),
        ("Remember that the code of Porto is P7.", "Remember that the code of Lisbon is P7."),
        ("I always want amounts in EUR.", "I always want amounts in USD for American customers."),
        ("My department is Logistics.", "My manager is [PERSON_1]."),
    ],
)
def test_different_statements_stand_beside_each_other(first: str, second: str) -> None:
    item = stored(first)
    assert not says_the_same(stated(second), item)
    assert superseded(stated(second), [item]) is None


@pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "x" * 201])
def test_an_owner_without_a_usable_name_is_refused(name: str) -> None:
    with pytest.raises(MemoryRefused):
        Owner(user=name)
