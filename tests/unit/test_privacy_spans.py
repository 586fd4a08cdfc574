"""Spans and which of two that overlap wins."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.spans import Span, resolve, subtract

KINDS = ("EMAIL", "PHONE", "NAME")


def _spans() -> st.SearchStrategy[list[Span]]:
    one = st.builds(
        lambda start, length, kind, score: Span(start, start + length, kind, score),
        st.integers(0, 60),
        st.integers(1, 20),
        st.sampled_from(KINDS),
        st.sampled_from((0.4, 0.8, 1.0)),
    )
    return st.lists(one, max_size=12)


def _covered(spans: tuple[Span, ...] | list[Span]) -> set[int]:
    return {place for span in spans for place in range(span.start, span.end)}


@given(_spans())
def test_resolving_covers_exactly_what_was_found(spans: list[Span]) -> None:
    assert _covered(resolve(spans)) == _covered(spans)


@given(_spans())
def test_resolved_spans_are_in_order_and_never_overlap(spans: list[Span]) -> None:
    resolved = resolve(spans)
    assert all(left.end <= right.start for left, right in pairwise(resolved))


@given(_spans(), st.randoms())
def test_the_order_of_the_finds_does_not_matter(spans: list[Span], random: Random) -> None:
    shuffled = list(spans)
    random.shuffle(shuffled)
    assert resolve(shuffled) == resolve(spans)


@given(_spans())
def test_resolving_twice_changes_nothing(spans: list[Span]) -> None:
    resolved = resolve(spans)
    assert resolve(resolved) == resolved


def test_the_longest_wins_over_the_strongest() -> None:
    assert resolve([Span(0, 4, "NAME", 1.0), Span(0, 9, "EMAIL", 0.5)]) == (Span(0, 9, "EMAIL", 0.5),)


def test_the_strongest_wins_among_equally_long_ones() -> None:
    assert resolve([Span(0, 9, "SSN", 0.5), Span(0, 9, "PHONE", 0.8)]) == (Span(0, 9, "PHONE", 0.8),)


def test_what_sticks_out_of_a_loser_keeps_its_kind_and_is_not_left_in_clear() -> None:
    found = resolve([Span(0, 6, "NAME"), Span(4, 20, "EMAIL")])
    assert found == (Span(0, 4, "NAME"), Span(4, 20, "EMAIL"))


def test_two_finds_with_a_space_between_both_stay() -> None:
    assert len(resolve([Span(0, 5, "NAME"), Span(6, 10, "NAME")])) == 2


def test_subtract_gives_the_parts_before_between_and_after() -> None:
    holes = [Span(4, 6, "NAME"), Span(2, 3, "NAME"), Span(5, 7, "NAME")]
    assert [(one.start, one.end) for one in subtract(Span(0, 9, "EMAIL"), holes)] == [(0, 2), (3, 4), (7, 9)]


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (4, 3)])
def test_a_span_without_extent_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="start < end"):
        Span(start, end, "NAME")


@pytest.mark.parametrize("kind", ["", "person", "A-B", "_NAME", "A" * 40])
def test_a_kind_that_no_placeholder_can_carry_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="a kind is"):
        Span(0, 1, kind)
