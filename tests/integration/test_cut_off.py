"""What an attempt that was killed had begun to tell gets an end; what has one is left alone."""

from typing import Any

from serving.hosting.cut_off import cut_off
from serving.hosting.jsonable import to_json
from serving.hosting.part_log import part_body
from serving.runs.requests.request import RunRequest
from tests.integration.run_house import GOAL, House

BEGUN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("event:messages", {"event": "message-start", "id": "whole"}),
    ("event:messages", {"event": "message-start", "id": "broken"}),
    ("event:messages", {"event": "content-block-delta", "id": "broken"}),
    ("event:messages", {"event": "message-finish", "id": "whole"}),
    ("event:messages|sub:1", {"event": "message-start", "id": "deep"}),
    ("event:tools", {"event": "tool-started", "tool_call_id": "call"}),
    ("event:tools", {"event": "tool-started", "tool_call_id": "done"}),
    ("event:tools", {"event": "tool-finished", "tool_call_id": "done"}),
    ("values", {"id": "state"}),
)


async def log(house: House, run_id: str, told: Any) -> None:
    bodies = ",".join(part_body(event, to_json(data).decode()) for event, data in told)
    async with house.pool.connection() as connection:
        await connection.execute("select append_events(%s, null, %s)", (run_id, f"[{bodies}]"))


async def test_what_has_no_end_gets_one(house: House) -> None:
    run_id = (await house.store.create(RunRequest(goal=GOAL)))[0].run_id
    assert await cut_off(house.pool, run_id) == []
    await log(house, run_id, BEGUN)
    ends = await cut_off(house.pool, run_id)
    named = [(event, data["event"], data.get("id") or data["tool_call_id"]) for event, data in ends]
    assert named == [
        ("event:messages", "error", "broken"),
        ("event:messages|sub:1", "error", "deep"),
        ("event:tools", "tool-error", "call"),
    ]
    await log(house, run_id, ends)
    assert await cut_off(house.pool, run_id) == []
    await log(house, run_id, [("event:tools", {"event": "tool-started", "tool_call_id": "call"})])
    assert len(await cut_off(house.pool, run_id)) == 1, "it was told anew, and cut off again"
