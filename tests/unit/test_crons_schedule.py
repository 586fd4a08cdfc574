"""When a cron is due, also where clocks change."""

from datetime import UTC, datetime

import pytest

from serving.crons.schedule import following, zone_of
from serving.errors import Unprocessable

BERLIN = "Europe/Berlin"


def _times(schedule: str, zone: str | None, begin: str, times: int) -> list[str]:
    now, found = datetime.fromisoformat(begin).replace(tzinfo=UTC), []
    for _ in range(times):
        due = following(schedule, zone, now)
        assert due
        assert due.tzinfo is UTC
        now = due
        found.append(due.astimezone(zone_of(zone)).strftime("%m-%d %H:%M:%S%z"))
    return found


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        ("*/5 * * * *", "03-01 10:05:00+0000"),
        ("0 9 * * 1-5", "03-02 09:00:00+0000"),
        ("@monthly", "04-01 00:00:00+0000"),
        ("0 0 L * *", "03-31 00:00:00+0000"),
        ("* * * * * */10", "03-01 10:02:40+0000"),
    ],
)
def test_a_schedule_without_a_zone_is_in_utc(schedule: str, first: str) -> None:
    assert _times(schedule, None, "2026-03-01T10:02:30", 1) == [first]


def test_a_time_that_is_left_out_comes_right_behind() -> None:
    found = _times("30 2 * * *", BERLIN, "2026-03-28T12:00:00", 2)
    assert found == ["03-29 03:00:00+0200", "03-30 02:30:00+0200"]


def test_an_hour_that_is_there_twice_counts_once_for_who_names_it() -> None:
    assert _times("30 2 * * *", BERLIN, "2026-10-24T12:00:00", 2) == ["10-25 02:30:00+0200", "10-26 02:30:00+0100"]
    half_hours = ["10-25 02:30:00+0200", "10-25 02:00:00+0100", "10-25 02:30:00+0100", "10-25 03:00:00+0100"]
    assert _times("*/30 * * * *", BERLIN, "2026-10-25T00:15:00", 4) == half_hours


def test_what_never_comes_is_none_and_what_cannot_be_read_is_refused() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert following("0 0 30 2 *", None, now) is None
    assert following("0 0 1 1 * 0 2020", None, now) is None
    for schedule, zone in (("soon", None), ("61 * * * *", None), ("H * * * *", None), ("* * * * *", "Mars/Olympus")):
        with pytest.raises(Unprocessable):
            following(schedule, zone, now)
