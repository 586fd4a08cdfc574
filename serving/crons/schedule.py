"""When a cron is due: a cron expression in a time zone.

As Vixie's cron does it where clocks change: what falls into the hour that is left out comes right behind it, and a
schedule that names its hours comes once in the hour that is there twice.
"""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from serving.errors import Unprocessable

_EXAMPLES: Final = "'*/5 * * * *' is every five minutes, '0 9 * * 1-5' nine o'clock on working days"


def following(schedule: str, timezone: str | None, now: datetime) -> datetime | None:
    """The first time after `now`, in UTC; None when there is none. Raises Unprocessable.

    Five fields (minute, hour, day of month, month, day of week), a sixth for seconds, a seventh for years; or @daily
    and the like. Without a time zone they are UTC's.
    """
    from croniter import CroniterBadCronError, CroniterBadDateError, croniter  # type: ignore[import-untyped]

    zone = zone_of(timezone)
    try:
        times = croniter(schedule, now.astimezone(zone))
        found: datetime = times.get_next(datetime)
        while found.fold and "*" not in times.expressions[1]:
            found = times.get_next(datetime)
    except CroniterBadDateError:
        return None
    except CroniterBadCronError as error:
        raise Unprocessable(f"schedule: {error}", _EXAMPLES, "bad_schedule") from None
    return found.astimezone(UTC)


def zone_of(name: str | None) -> ZoneInfo:
    """Raises Unprocessable."""
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError, KeyError):
        hint = "an IANA name, as America/New_York"
        raise Unprocessable(f"timezone: there is no {name!r}", hint, "bad_timezone") from None
