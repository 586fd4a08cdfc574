"""Places in a thread's stream: numbers that grow along it, and lead back to where they were given."""

import itertools

import pytest

from serving.api.event_id import seq_of
from serving.api.sdk.framing import SdkFraming
from serving.api.thread_streams.joining import _RunOfMany
from serving.threads.places import ROOM, START, Place

THREAD = "8b4c1d5e-0f0a-4a55-9a3e-2a6f1c1f7d10"

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


def test_of_a_joined_line_that_tells_more_than_its_room_nothing_is_lost() -> None:
    """A cut may come behind any of its frames: who comes with that one's id is told the rest, and little twice."""

    def told(heard: int) -> list[str]:
        run = _RunOfMany(SdkFraming("r", frozenset()), THREAD, 1, heard)
        return [run._placed(5, number, f"event: values\ndata: {number}") for number in range(1_400)]

    whole = told(-1)
    for at in (0, 510, 511, 512, 1_023, 1_024, 1_399):
        rest = told(seq_of(whole[at].partition("\n")[0].removeprefix("id: "), THREAD))
        assert rest[at + 1 :] == whole[at + 1 :]
        assert not any(rest[: min(at + 1, ROOM - 1)])
