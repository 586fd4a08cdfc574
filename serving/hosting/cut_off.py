"""What an attempt had begun to tell when it was cut off: whoever waits for its end is told that there is none."""

from typing import Any, Final, LiteralString

from serving.database import Pool, fetch_all, storage
from serving.hosting.channels import EVENT
from serving.hosting.parts import Part

_WHY: Final = "the attempt that began it was cut off; another one tells it anew"
_UNENDED: LiteralString = """
select body ->> 'event' as event, coalesce(body -> 'data' ->> 'id', body -> 'data' ->> 'tool_call_id') as id,
    max(body -> 'data' ->> 'run_id') as call
from run_events where run_id = %s and kind = 'stream_part' and body ->> 'event' like any(%s)
group by 1, 2
having (array_agg(body -> 'data' ->> 'event' order by seq desc))[1]
    not in ('message-finish', 'error', 'tool-finished', 'tool-error')
order by min(seq)
"""
_MESSAGES, _TOOLS = f"{EVENT}messages", f"{EVENT}tools"


async def cut_off(pool: Pool, run_id: str) -> list[Part]:
    """The messages and calls of tools that have no end in the run's log, each with one. Raises StorageLost."""
    with storage():
        rows = await fetch_all(pool, _UNENDED, (run_id, [f"{_MESSAGES}%", f"{_TOOLS}%"]))
    return [(row["event"], _end(row["event"], row["id"], row["call"])) for row in rows]


def _end(event: str, id_: str, call: str | None) -> dict[str, Any]:
    if event.startswith(_TOOLS):
        return {"event": "tool-error", "tool_call_id": id_, "message": _WHY, "code": "cut_off"}
    return {"event": "error", "id": id_, "message": _WHY, "code": "cut_off", **({"run_id": call} if call else {})}
