"""Places in a thread's stream: numbers that grow along it, and lead back to where they were given."""

import itertools

import pytest

from serving.threads.places import START, Place

ALONG = [
    START,
    *(Place(run, line, telling) for run in (1, 2, 9) for line in (1, 2, 500, 2**24 - 1) for telling in (0, 1, 1_023)),
    Place(2**19, 2**24 - 1, 1_023),
]


def test_numbers_grow_along_the_stream_and_lead_back() -> None:
    assert sorted(ALONG) == ALONG
    assert all(one.seq < other.seq for one, other in itertools.pairwise(ALONG))
    assert [Place.of(place.seq) for place in ALONG] == ALONG
    assert (START.seq, ALONG[-1].seq) == (0, 2**53 - 1)


@pytest.mark.parametrize("beyond", [2**53, 10**18])
def test_a_number_from_beyond_is_the_last_place(beyond: int) -> None:
    assert Place.of(beyond) == ALONG[-1]


def test_what_a_line_tells_beyond_its_room_shares_its_last_number() -> None:
    last, beyond = Place(1, 1, 1_023), Place(1, 1, 1_024)
    assert last.seq == beyond.seq < Place(1, 2).seq
    heard = last.seq
    assert Place(1, 1, 1_022).is_told(heard)
    assert not last.is_told(heard), "some that share it may not have been told"
    assert last.is_told(heard + 1)
