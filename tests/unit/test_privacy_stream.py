"""Restoring a text that arrives cut anywhere."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from privacy.placeholder import find, parse, unfinished
from privacy.redact import Redactor
from privacy.stream import StreamRestorer
from privacy.vault import MemoryVault

VALUES = ("jane@example.com", "[EMAIL_2]", "a [ in it", "+49 30 1234567")
PIECES = st.sampled_from(
    (
        *("[EMAIL_1]", "[PHONE_4]", "[NAME_2]", "[LITERAL_3]", "[EMAIL_S1]", "[EMAIL_77]", "[EMAIL_01]"),
        *("[", "]", "[[", "[EMAIL", "[EMAIL_", "[EMAIL_S", "[EMAIL_1", "_1]", "[email_1]", "[1]", "[X](y)", "text "),
    )
)


def _restore() -> Callable[[str], str]:
    vault = MemoryVault()
    for kind, value in zip(("EMAIL", "NAME", "LITERAL", "PHONE"), VALUES, strict=True):
        vault.placeholder_for(kind, value)
    return Redactor(detector=None, vault=vault).restore  # type: ignore[arg-type]  # restoring needs no detector


RESTORE = _restore()


@given(st.lists(PIECES, max_size=6).map("".join))
def test_every_split_in_two_gives_the_same_as_the_whole(text: str) -> None:
    for cut in range(len(text) + 1):
        stream = StreamRestorer(RESTORE)
        assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.flush() == RESTORE(text)


@given(st.lists(PIECES, max_size=10).map("".join), st.data())
def test_every_split_in_many_gives_the_same_as_the_whole(text: str, data: st.DataObject) -> None:
    stream, printed, rest = StreamRestorer(RESTORE), "", text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        printed, rest = printed + stream.feed(rest[:size]), rest[size:]
    assert printed + stream.flush() == RESTORE(text)


@given(st.lists(PIECES, max_size=10).map("".join))
def test_one_character_at_a_time_gives_the_same_as_the_whole(text: str) -> None:
    stream = StreamRestorer(RESTORE)
    assert "".join(map(stream.feed, text)) + stream.flush() == RESTORE(text)


@given(st.text(alphabet="[]ES_A1 9x", max_size=40))
def test_any_text_over_the_grammars_alphabet_survives_any_cut(text: str) -> None:
    stream = StreamRestorer(RESTORE)
    assert "".join(map(stream.feed, text)) + stream.flush() == RESTORE(text)


def test_nothing_is_held_back_that_can_no_longer_be_a_placeholder() -> None:
    stream = StreamRestorer(RESTORE)
    assert stream.feed("see [1") == "see [1"
    assert stream.feed("] and [EM") == "] and "
    assert stream.feed("AIL_1] now") == "jane@example.com now"
    assert stream.flush() == ""


def test_a_bracket_that_never_closes_holds_back_a_bounded_text() -> None:
    assert unfinished("[" + "A" * 39) == 0
    assert unfinished("[" + "A" * 80) == 81


def test_a_stream_that_ends_inside_a_placeholder_prints_what_there_is() -> None:
    stream = StreamRestorer(RESTORE)
    assert stream.feed("to [EMAIL_1") == "to "
    assert stream.flush() == "[EMAIL_1"


def test_a_restored_value_is_not_restored_again() -> None:
    assert RESTORE("[NAME_2]") == "[EMAIL_2]"


def test_the_grammar_knows_both_realms_and_no_leading_zero() -> None:
    assert [str(found.placeholder) for found in find("[EMAIL_1][CREDIT_CARD_S12][EMAIL_01][x_1][_1]")] == [
        "[EMAIL_1]",
        "[CREDIT_CARD_S12]",
    ]
    assert parse("[EMAIL_S3]") is not None
    assert parse("[EMAIL_S3] ") is None
