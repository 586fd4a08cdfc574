"""`crons`: create, on a thread and without, update, search, count, delete; and the runs that they make."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from langgraph_sdk.errors import NotFoundError

from tests.sdk.refusal import refused

NOBODY = "11111111-1111-1111-1111-111111111111"
NEVER_YET = "0 9 1 1 *"  # on New Year's morning
EVERY_SECOND = "* * * * * *"


@pytest.fixture
async def assistant(client: Any) -> AsyncIterator[str]:
    """A new assistant's id, of the slow graph; its crons go with it."""
    made = await client.assistants.create("slow", context={"who": "Ann"}, metadata={"ship": "Argo"})
    yield made["assistant_id"]
    await client.assistants.delete(made["assistant_id"])


@asynccontextmanager
async def ticking(client: Any, cron: Any) -> AsyncIterator[Any]:
    """Behind the block it makes no more runs."""
    try:
        yield cron
    finally:
        await client.crons.update(cron["cron_id"], enabled=False)


async def soon(look: Callable[[], Any]) -> Any:
    """What is found, as soon as there is something."""
    until = time.monotonic() + 60
    while not (found := await look()):
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    return found


async def test_a_cron_shows_what_it_was_made_of(client: Any, assistant: str) -> None:
    given: Any = {"input": {"steps": 1, "b": 1, "a": 2.50}, "context": {"who": "Bo"}, "stream_mode": ["updates"]}
    cron = await client.crons.create(assistant, schedule=NEVER_YET, metadata={"trip": "Poros"}, **given)
    assert cron["payload"].items() >= {**given, "schedule": NEVER_YET, "assistant_id": assistant}.items()
    assert list(cron["payload"]["input"]) == ["steps", "b", "a"]
    shown = {"assistant_id": assistant, "thread_id": None, "schedule": NEVER_YET, "timezone": None, "end_time": None}
    assert (
        cron.items() >= {**shown, "metadata": {"trip": "Poros"}, "on_run_completed": "delete", "enabled": True}.items()
    )
    due = datetime.fromisoformat(cron["next_run_date"])
    assert due > datetime.now(UTC)
    assert (due.month, due.day, due.hour, due.minute) == (1, 1, 9, 0)
    assert cron["created_at"] == cron["updated_at"]
    assert await client.crons.search(assistant_id=assistant) == [cron]


async def test_a_schedule_is_read_in_its_time_zone(client: Any, assistant: str) -> None:
    for zone, hour in ((ZoneInfo("Asia/Tokyo"), 0), ("America/New_York", 14), ("UTC", 9)):
        cron = await client.crons.create(assistant, schedule=NEVER_YET, timezone=zone)
        assert (cron["timezone"], datetime.fromisoformat(cron["next_run_date"]).hour) == (str(zone), hour)


async def test_a_cron_makes_runs_on_its_thread(client: Any, assistant: str, thread: str) -> None:
    cron = await client.crons.create_for_thread(
        thread,
        assistant,
        schedule=EVERY_SECOND,
        input={"steps": 1},
        metadata={"trip": "Poros"},
        config={"tags": ["daily"], "configurable": {"answer": 42}},
        multitask_strategy="enqueue",
    )
    assert (cron["thread_id"], cron["on_run_completed"]) == (thread, None)
    async with ticking(client, cron):

        async def ended() -> Any:
            runs = await client.runs.list(thread, status="success")
            return runs if len(runs) >= 2 else None

        newest, before, *_ = await soon(ended)
    told = {"trip": "Poros", "ship": "Argo", "assistant_id": assistant, "graph_id": "slow", "cron_id": cron["cron_id"]}
    assert newest["metadata"].items() >= told.items()
    asked = newest["kwargs"]
    assert (asked["input"], asked["context"]["who"], asked["config"]["tags"]) == ({"steps": 1}, "Ann", ["daily"])
    assert asked["config"]["configurable"].items() >= {"answer": 42, "cron_id": cron["cron_id"]}.items()
    assert newest["metadata"]["cron_due"] > before["metadata"]["cron_due"] > cron["created_at"]
    (rested,) = await client.crons.search(thread_id=thread)
    assert not rested["enabled"]
    made = await client.runs.list(thread, limit=100)
    assert len({run["metadata"]["cron_due"] for run in made}) == len(made)
    await asyncio.sleep(1.2)
    assert len(await client.runs.list(thread, limit=100)) == len(made)


@pytest.mark.parametrize(("completed", "ttl"), [("keep", None), ("delete", 0.5)])
async def test_a_cron_without_a_thread_gives_each_run_its_own(
    client: Any, assistant: str, completed: Any, ttl: float | None
) -> None:
    given: Any = {"schedule": EVERY_SECOND, "input": {"steps": 1}, "on_run_completed": completed}
    cron = await client.crons.create(assistant, **given)
    async with ticking(client, cron):

        async def ended() -> Any:
            return await client.threads.search(metadata={"assistant_id": assistant}, status="idle", limit=1)

        (thread,) = await soon(ended)
    assert thread["values"] == {"steps": 1, "done": 1}
    kept = (await client.threads.get(thread["thread_id"], include=["ttl"]))["ttl"]
    assert (kept and kept["ttl_minutes"]) == ttl
    (run,) = await client.runs.list(thread["thread_id"])
    assert run["metadata"]["cron_id"] == cron["cron_id"]


async def test_the_agent_works_on_a_schedule(client: Any, thread: str) -> None:
    said = {"messages": [{"role": "user", "content": "What is 2 + 2? Ask bo@example.com"}]}
    cron = await client.crons.create_for_thread(thread, "trireme", schedule=EVERY_SECOND, input=said)
    assert cron["payload"]["input"] == said
    async with ticking(client, cron):

        async def ended() -> Any:
            return await client.runs.list(thread, status="success", limit=1)

        await soon(ended)
    goal, answer, *_ = (await client.threads.get_state(thread))["values"]["messages"]
    assert goal["content"] == said["messages"][0]["content"]
    assert answer["type"] == "ai"


async def test_a_cron_changes_and_what_is_not_named_stays(client: Any, assistant: str) -> None:
    end = datetime(2100, 1, 1, tzinfo=UTC)
    cron = await client.crons.create(
        assistant,
        schedule=NEVER_YET,
        input={"steps": 1},
        metadata={"a": 1},
        end_time=end,
        webhook="https://example.com",
    )
    assert cron["end_time"] == end.isoformat()
    id_ = cron["cron_id"]
    changed = await client.crons.update(id_, schedule="30 6 * * *", timezone="Europe/Athens", metadata={"b": 2})
    assert changed["created_at"] == cron["created_at"] < changed["updated_at"]
    assert (changed["schedule"], changed["metadata"]) == ("30 6 * * *", {"a": 1, "b": 2})
    assert changed["payload"]["metadata"] == {"a": 1, "b": 2}
    assert changed["payload"].items() >= {"input": {"steps": 1}, "webhook": "https://example.com"}.items()
    due = datetime.fromisoformat(changed["next_run_date"]).astimezone(ZoneInfo("Europe/Athens"))
    assert (due.hour, due.minute) == (6, 30)
    assert due - datetime.now(UTC) <= timedelta(days=1)
    assert (await client.crons.update(id_, input={"steps": 2}))["end_time"] == cron["end_time"]
    assert (await client.crons.update(id_, end_time=None))["end_time"] is None
    rests = await client.crons.update(id_, enabled=False, on_run_completed="keep", interrupt_before=["step"])
    assert (rests["enabled"], rests["on_run_completed"]) == (False, "keep")
    assert rests["payload"].items() >= {"input": {"steps": 2}, "interrupt_before": ["step"]}.items()
    assert await client.crons.search(assistant_id=assistant) == [rests]


async def test_changes_that_come_at_once_are_all_made(client: Any, assistant: str, server: Any) -> None:
    """Each has read the cron before the other changes it."""
    cron = await client.crons.create(assistant, schedule="0 0 1 1 *", input={"steps": 1}, metadata={"a": 1})
    id_, end = cron["cron_id"], datetime(2999, 1, 1, tzinfo=UTC)
    changes: list[dict[str, Any]] = [
        {"input": {"steps": 2}},
        {"config": {"tags": ["new"]}, "metadata": {"b": 2}},
        {"schedule": "0 0 2 1 *", "metadata": {"c": 3}},
        {"timezone": "Europe/Athens", "stream_mode": "updates"},
        {"end_time": end},
    ]
    async with await psycopg.AsyncConnection.connect(server.home.dsn) as holding:
        await holding.execute("select from crons where cron_id = %s for update", (id_,))
        waiting = [asyncio.create_task(client.crons.update(id_, **change)) for change in changes]
        await asyncio.sleep(0.5)
    await asyncio.gather(*waiting)
    (found,) = await client.crons.search(assistant_id=assistant)
    payload = found["payload"]
    assert (payload["input"], payload["config"]["tags"], payload["stream_mode"]) == ({"steps": 2}, ["new"], ["updates"])
    assert payload["config"]["configurable"]["cron_id"] == id_
    assert found["metadata"] == payload["metadata"] == {"a": 1, "b": 2, "c": 3}
    assert (found["schedule"], found["timezone"]) == ("0 0 2 1 *", "Europe/Athens")
    assert datetime.fromisoformat(found["end_time"]) == end
    due = datetime.fromisoformat(found["next_run_date"]).astimezone(ZoneInfo("Europe/Athens"))
    assert (due.month, due.day, due.hour) == (1, 2, 0)


async def test_no_run_begins_behind_the_end(client: Any, assistant: str) -> None:
    cron = await client.crons.create(assistant, schedule=NEVER_YET, end_time=datetime.now(UTC) + timedelta(minutes=1))
    assert cron["next_run_date"] is None


async def test_crons_are_found_by_what_they_are(client: Any, assistant: str, thread: str) -> None:
    made = [await client.crons.create(assistant, schedule=f"{at} 9 1 1 *", metadata={"at": at}) for at in (30, 10, 20)]
    on_thread = await client.crons.create_for_thread(thread, "slow", schedule=NEVER_YET, enabled=False)
    ids = [cron["cron_id"] for cron in made]
    found = await client.crons.search(assistant_id=assistant)
    assert [cron["cron_id"] for cron in found] == ids[::-1]
    by_date: Any = {"sort_by": "next_run_date", "sort_order": "asc", "select": ["cron_id"]}
    ordered = [{"cron_id": ids[at]} for at in (1, 2, 0)]
    assert await client.crons.search(assistant_id=assistant, **by_date) == ordered
    assert await client.crons.search(assistant_id=assistant, limit=1, offset=1, **by_date) == ordered[1:2]
    assert await client.crons.search(assistant_id=assistant, metadata={"at": 10}) == [made[1]]
    assert await client.crons.search(thread_id=thread) == [on_thread]
    assert await client.crons.search(thread_id=thread, enabled=True) == []
    assert await client.crons.search(thread_id=thread, assistant_id="slow") == [on_thread]
    (clock,) = await client.crons.search(thread_id=thread, select=["now", "schedule"])
    assert datetime.fromisoformat(clock["now"]) > datetime.fromisoformat(on_thread["created_at"])
    assert clock["schedule"] == NEVER_YET
    assert await client.crons.count(assistant_id=assistant) == 3
    assert await client.crons.count(assistant_id=assistant, metadata={"at": 10}) == 1
    assert await client.crons.count(thread_id=thread) == 1
    assert await client.crons.count() >= 4


async def test_a_cron_goes_when_it_is_deleted_or_its_thread_or_assistant_is(client: Any, thread: str) -> None:
    assistant = (await client.assistants.create("slow"))["assistant_id"]
    own = await client.crons.create(assistant, schedule=NEVER_YET)
    await client.crons.create_for_thread(thread, assistant, schedule=NEVER_YET)
    await client.crons.create(assistant, schedule=NEVER_YET)
    await client.crons.delete(own["cron_id"])
    assert await client.crons.count(assistant_id=assistant) == 2
    await client.threads.delete(thread)
    assert await client.crons.count(assistant_id=assistant) == 1
    await client.assistants.delete(assistant)
    assert await client.crons.count(assistant_id=assistant) == 0
    with pytest.raises(NotFoundError):
        await client.crons.delete(own["cron_id"])


async def test_an_idempotency_key_makes_one_cron(client: Any, assistant: str) -> None:
    once = {"Idempotency-Key": str(uuid4())}
    made = [await client.crons.create(assistant, schedule=NEVER_YET, headers=once) for _ in range(2)]
    assert made[0] == made[1]
    assert "another request" in await refused(client.crons.create(assistant, schedule="1 9 1 1 *", headers=once), 409)


def test_the_sync_client_does_the_same(sync_client: Any) -> None:
    assistant = sync_client.assistants.create("slow")["assistant_id"]
    thread = sync_client.threads.create()["thread_id"]
    cron = sync_client.crons.create(assistant, schedule=NEVER_YET, timezone=ZoneInfo("Asia/Tokyo"))
    on_thread = sync_client.crons.create_for_thread(
        thread, assistant, schedule=NEVER_YET, end_time=datetime(2100, 1, 1)
    )
    assert on_thread["end_time"] == "2100-01-01T00:00:00+00:00"
    assert sync_client.crons.count(assistant_id=assistant) == 2
    assert sync_client.crons.update(cron["cron_id"], enabled=False)["timezone"] == "Asia/Tokyo"
    assert sync_client.crons.search(assistant_id=assistant, enabled=True) == [on_thread]
    sync_client.crons.delete(cron["cron_id"])
    assert sync_client.crons.search(assistant_id=assistant) == [on_thread]
    sync_client.assistants.delete(assistant)


async def test_what_cannot_be_used_is_refused_by_its_name(client: Any, assistant: str, thread: str) -> None:
    crons, past = client.crons, datetime.now(UTC) - timedelta(minutes=1)
    for schedule in ("", "soon", "60 * * * *", "* * * *", "9" * 201):
        assert "schedule" in await refused(crons.create(assistant, schedule=schedule), 422)
    assert "no such time" in await refused(crons.create(assistant, schedule="0 9 30 2 *"), 422)
    for zone in ("Mars/Olympus", "../../etc/passwd", "America"):
        assert "timezone" in await refused(crons.create(assistant, schedule=NEVER_YET, timezone=zone), 422)
    assert "end_time" in await refused(crons.create(assistant, schedule=NEVER_YET, end_time=past), 422)
    assert "assistant" in await refused(crons.create(NOBODY, schedule=NEVER_YET), 404)
    assert "assistant" in await refused(crons.create("nobody", schedule=NEVER_YET), 422)
    assert "thread" in await refused(crons.create_for_thread(NOBODY, assistant, schedule=NEVER_YET), 404)
    assert "thread" in await refused(crons.create_for_thread("x", assistant, schedule=NEVER_YET), 422)
    assert "goal" in await refused(crons.create("trireme", schedule=NEVER_YET), 400)
    assert "webhook" in await refused(crons.create(assistant, schedule=NEVER_YET, webhook="ftp://x"), 400)
    wrong: Any = "wrong"
    assert "multitask" in await refused(crons.create(assistant, schedule=NEVER_YET, multitask_strategy=wrong), 422)
    cron = (await crons.create_for_thread(thread, assistant, schedule=NEVER_YET))["cron_id"]
    assert "schedule" in await refused(crons.update(cron, schedule="soon"), 422)
    assert "timezone" in await refused(crons.update(cron, timezone="Mars/Olympus"), 422)
    assert "end_time" in await refused(crons.update(cron, end_time=past), 422)
    for id_, status in ((NOBODY, 404), ("x", 422)):
        assert "cron" in await refused(crons.update(id_, enabled=True), status)
        assert "cron" in await refused(crons.delete(id_), status)
    assert "thread" in await refused(crons.search(thread_id="x"), 422)
    assert "sort_by" in await refused(crons.search(sort_by=wrong), 422)
