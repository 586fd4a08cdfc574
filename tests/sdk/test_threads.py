"""`client.threads` without its state, method by method, against a real server."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import psycopg
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient
from langgraph_sdk.schema import ThreadStatus

from tests.acceptance.conftest import Up
from tests.sdk.refusal import refused

NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_a_thread_is_made_as_asked_and_read_as_made(client: LangGraphClient) -> None:
    id_ = str(uuid.uuid4())
    made = await client.threads.create(thread_id=id_, metadata={"user": {"id": 7}}, graph_id="trireme")
    assert made["thread_id"] == id_
    assert made["metadata"] == {"user": {"id": 7}, "graph_id": "trireme"}
    assert (made["status"], made["values"], made["interrupts"]) == ("idle", None, {})
    for moment in (made["created_at"], made["updated_at"]):
        assert datetime.fromisoformat(str(moment)).utcoffset() is not None
    assert await client.threads.get(id_) == made
    assert uuid.UUID((await client.threads.create())["thread_id"]).version == 7


async def test_the_same_id_twice_is_refused_or_gives_what_is_there(client: LangGraphClient) -> None:
    first = await client.threads.create(metadata={"n": 1})
    id_ = first["thread_id"]
    assert "exists already" in await refused(client.threads.create(thread_id=id_), 409)
    assert await client.threads.create(thread_id=id_, metadata={"n": 2}, if_exists="do_nothing") == first


async def test_an_update_merges_the_metadata(client: LangGraphClient) -> None:
    made = await client.threads.create(metadata={"a": 1, "b": {"x": 1}})
    changed = await client.threads.update(made["thread_id"], metadata={"b": {"y": 2}, "c": None})
    assert changed["metadata"] == {"a": 1, "b": {"y": 2}, "c": None}
    assert changed["updated_at"] > made["updated_at"]
    await client.threads.update(made["thread_id"], metadata={"d": 1}, return_minimal=True)
    path, minimal = f"/threads/{made['thread_id']}", {"Prefer": "return=minimal"}
    answer = await client.http.client.patch(path, json={"metadata": {"e": 1}}, headers=minimal)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.threads.get(made["thread_id"]))["metadata"]["d"] == 1  # type: ignore[index]


async def test_a_time_to_live_counts_from_the_last_change(client: LangGraphClient) -> None:
    made = await client.threads.create(ttl=60)
    assert "ttl" not in made
    shown = await client.threads.get(made["thread_id"], include=["ttl"])
    ttl = shown["ttl"]  # type: ignore[typeddict-item]
    assert (ttl["strategy"], ttl["ttl_minutes"]) == ("delete", 60)
    until = datetime.fromisoformat(str(made["updated_at"])) + timedelta(minutes=60)
    assert datetime.fromisoformat(ttl["expires_at"]) == until
    await client.threads.update(made["thread_id"], metadata={}, ttl={"ttl": 0.5, "strategy": "keep_latest"})
    shown = await client.threads.get(made["thread_id"], include=["ttl"])
    assert shown["ttl"]["strategy"] == "keep_latest"  # type: ignore[typeddict-item]
    plain = await client.threads.create()
    assert (await client.threads.get(plain["thread_id"], include=["ttl"]))["ttl"] is None  # type: ignore[typeddict-item]
    for bad in (0, -5, {"ttl": 5, "strategy": "burn"}, {"strategy": "delete"}):
        assert "ttl" in await refused(client.threads.create(ttl=bad), 422)


async def test_deleting_a_thread_takes_its_runs_and_their_logs_along(client: LangGraphClient, server: Up) -> None:
    thread = (await client.threads.create())["thread_id"]
    run = await client.http.post(
        "/runs", json={"goal": "What is 2 plus 2?", "thread_id": thread}, params={"wait": True}
    )
    await client.threads.delete(thread)
    await refused(client.threads.get(thread), 404)
    await refused(client.http.get(f"/runs/{run['run_id']}"), 404)
    with psycopg.connect(server.home.dsn) as connection:
        left = connection.execute("select count(*) from run_events where run_id = %s", (run["run_id"],)).fetchone()
        states = connection.execute("select count(*) from state_checkpoints where thread_id = %s", (thread,)).fetchone()
    assert (left, states) == ((0,), (0,))


async def test_deleting_a_thread_stops_the_run_that_goes_on(client: LangGraphClient, server: Up) -> None:
    thread = (await client.threads.create())["thread_id"]
    await client.http.post("/runs", json={"goal": "Compare the reports of all quarters", "thread_id": thread})
    assert (await client.threads.get(thread))["status"] == "busy"
    await client.threads.delete(thread)
    after = await client.http.post("/runs", json={"goal": "What is 3 plus 4?"}, params={"wait": True})
    assert after["status"] == "success"
    with psycopg.connect(server.home.dsn) as connection:
        states = connection.execute("select count(*) from state_checkpoints where thread_id = %s", (thread,)).fetchone()
    assert states == (0,)


async def test_the_status_follows_the_runs(client: LangGraphClient) -> None:
    async def status(thread: str) -> str:
        return str((await client.threads.get(thread))["status"])

    async def found_as(thread: str, status: ThreadStatus) -> bool:
        return len(await client.threads.search(ids=[thread], status=status)) == 1

    thread = (await client.threads.create())["thread_id"]
    before = await client.threads.get(thread)
    later = {"goal": "What is 2 plus 2?", "thread_id": thread, "after_seconds": 600}
    waiting = await client.http.post("/runs", json=later)
    assert await status(thread) == "busy"
    assert await found_as(thread, "busy")
    assert not await found_as(thread, "idle")
    await client.http.post(f"/runs/{waiting['run_id']}/cancel", json={})
    assert await status(thread) == "idle"
    asked = {"goal": "What is 2 plus 2?", "thread_id": thread, "review_plan": True}
    parked = await client.http.post("/runs", json=asked, params={"wait": True})
    assert parked["status"] == "interrupted"
    assert await status(thread) == "interrupted"
    assert await found_as(thread, "interrupted")
    (question,) = (await client.threads.get(thread))["interrupts"][parked["run_id"]]
    assert question["id"] == parked["approvals"][0]["approval_id"]
    await client.http.post(f"/runs/{parked['run_id']}/approve", json={"decision": "approve"})
    for _ in range(1_200):
        if (ended := await status(thread)) != "busy":
            break
        await asyncio.sleep(0.05)
    assert ended == "idle"
    assert await found_as(thread, "idle")
    assert (await client.threads.get(thread))["updated_at"] > before["updated_at"]


async def test_search_filters_sorts_selects_and_turns_pages(client: LangGraphClient, server: Up) -> None:
    mark = uuid.uuid4().hex
    about = {"mark": mark, "graph_id": "chat"}
    made = [(await client.threads.create(metadata={**about, "n": at}))["thread_id"] for at in range(4)]
    with psycopg.connect(server.home.dsn) as connection:  # as the ends of hosted runs leave it
        query = "update threads set values = %s, interrupts = %s, status = %s where thread_id = %s"
        state = '{"messages": [{"content": "a"}, {"content": "b"}], "n": 1}'
        pause = '{"task": [{"id": "i", "value": {"q": 1}}]}'
        connection.execute(query, (state, pause, "interrupted", made[0]))
        connection.execute(query, ('{"n": 2}', "{}", "error", made[1]))

    async def found(**wanted: object) -> list[int]:
        threads = await client.threads.search(metadata={"mark": mark}, **wanted)  # type: ignore[arg-type]
        return [made.index(thread["thread_id"]) for thread in threads]

    assert await found() == [3, 2, 1, 0]
    assert await found(sort_by="created_at", sort_order="asc") == [0, 1, 2, 3]
    assert await found(sort_by="thread_id", sort_order="asc") == [0, 1, 2, 3]
    assert await found(sort_by="status", sort_order="asc") == [1, 2, 3, 0]
    assert len(await found(sort_by="updated_at")) == len(await found(sort_by="state_updated_at")) == 4
    assert await found(limit=2, offset=1) == [2, 1]
    assert await found(status="interrupted") == [0]
    assert await found(status="error") == [1]
    assert await found(status="idle") == [3, 2]
    assert await found(status="busy") == []
    assert await found(values={"n": 2}) == [1]
    assert await found(values={"messages": [{"content": "b"}]}) == [0]
    assert await found(ids=made[1:3]) == [2, 1]
    (thread,) = await client.threads.search(metadata={"mark": mark, "n": 0})
    assert thread["values"] == {"messages": [{"content": "a"}, {"content": "b"}], "n": 1}
    assert thread["interrupts"] == {"task": [{"id": "i", "value": {"q": 1}}]}
    (part,) = await client.threads.search(ids=made[:1], select=["status", "thread_id", "context"])
    assert dict(part) == {"status": "interrupted", "thread_id": made[0], "context": {}}
    assert await client.threads.count(metadata={"mark": mark}) == 4
    assert await client.threads.count(metadata={"mark": mark}, status="idle") == 2
    assert await client.threads.count(metadata={"mark": mark}, values={"n": 1}) == 1
    await client.threads.update(made[1], metadata={})
    assert await found() == [1, 3, 2, 0]
    answer = await client.http.client.post("/threads/search", json={"metadata": {"mark": mark}, "limit": 3})
    assert (answer.headers["X-Pagination-Total"], answer.headers["X-Pagination-Next"]) == ("4", "3")
    answer = await client.http.client.post("/threads/search", json={"metadata": {"mark": mark}, "offset": 3})
    assert answer.headers["X-Pagination-Total"] == "4"
    assert "X-Pagination-Next" not in answer.headers


async def test_search_gives_each_field_alone(client: LangGraphClient, thread: str) -> None:
    asked: Any = {"messages": [{"role": "user", "content": "send a mail to ann@example.com"}]}
    await client.runs.wait(thread, "chat", input=asked, config={"tags": ["t"]}, context={"captain": "Ann"})
    whole: Any = await client.threads.get(thread)
    for field in ("thread_id", "created_at", "updated_at", "metadata", "status", "values", "interrupts"):
        assert whole[field]
        found: Any = await client.threads.search(ids=[thread], select=[field], sort_by="created_at", sort_order="desc")
        assert found == [{field: whole[field]}]
    rest: Any = await client.threads.search(ids=[thread], select=["config", "context"])
    assert set(rest[0]) == {"config", "context"}


async def test_threads_are_counted_by_each_status(client: LangGraphClient) -> None:
    mark = uuid.uuid4().hex

    async def thread(**asked: Any) -> str:
        found = (await client.threads.create(metadata={"mark": mark}, if_exists="raise"))["thread_id"]
        if asked:
            await client.runs.create(found, "slow", **asked)
        return found

    await thread()
    await thread(input={}, after_seconds=600)
    runs = [await thread(input={"steps": 1}, interrupt_before="*"), await thread(input={"fail_at": 1})]
    for each in runs:
        (run,) = await client.runs.list(each)
        await client.runs.join(each, run["run_id"])
    states: tuple[ThreadStatus, ...] = ("idle", "busy", "interrupted", "error")
    assert [await client.threads.count(metadata={"mark": mark}, status=status) for status in states] == [1, 1, 1, 1]
    assert await client.threads.count(metadata={"mark": mark}, values={"fail_at": 1}) == 1


async def test_search_extracts_single_values(client: LangGraphClient, server: Up) -> None:
    thread = (await client.threads.create(metadata={"a": {"b c": [1, 2]}, 'q"x': 5}))["thread_id"]
    with psycopg.connect(server.home.dsn) as connection:
        state = '{"messages": [{"content": "a"}, {"content": "b"}]}'
        connection.execute("update threads set values = %s where thread_id = %s", (state, thread))
    paths = {
        "last": "values.messages[-1].content",
        "first": "values.messages[0]",
        "spaced": "metadata.a.b c[-2]",
        "quoted": 'metadata.q"x',
        "whole": "values.messages",
        "none": "values.messages[7].content",
        "through": "values.messages.content",
        "root": "interrupts",
    }
    (found,) = await client.threads.search(ids=[thread], select=["thread_id"], extract=paths)
    assert dict(found) == {
        "thread_id": thread,
        "extracted": {
            "last": "b",
            "first": {"content": "a"},
            "spaced": 1,
            "quoted": 5,
            "whole": [{"content": "a"}, {"content": "b"}],
            "none": None,
            "through": None,
            "root": {},
        },
    }
    for path in ("status", "values..a", "values[", "values.a[x]", "values.a]", "", "values['a']"):
        assert "is no path" in await refused(client.threads.search(extract={"x": path}), 422)
    many = {f"k{at}": "values.a" for at in range(11)}
    assert "extract" in await refused(client.threads.search(extract=many), 422)


async def test_what_is_no_thread_is_refused_with_the_mend(client: LangGraphClient) -> None:
    threads = client.threads
    assert " not found" in await refused(threads.get(NOBODY), 404)
    assert " not found" in await refused(threads.update(NOBODY, metadata={}), 404)
    assert " not found" in await refused(threads.delete(NOBODY), 404)
    assert 'thread id "zz" is no UUID' in await refused(threads.get("zz"), 422)
    assert "is no UUID" in await refused(threads.create(thread_id="zz"), 422)
    assert "is no UUID" in await refused(threads.update("zz", metadata={}), 422)
    assert "is no UUID" in await refused(threads.delete("zz"), 422)
    assert "is no UUID" in await refused(threads.search(ids=["zz"]), 422)
    assert "if_exists" in await refused(threads.create(if_exists="maybe"), 422)  # type: ignore[arg-type]
    assert "holds a NUL" in await refused(threads.create(metadata={"a": ["\x00"]}), 400)
    assert "holds a NUL" in await refused(threads.search(metadata={"\x00": 1}), 400)
    body, kind = b'{"metadata": {"n": 99999999999999999999999}}', {"Content-Type": "application/json"}
    huge = await client.http.client.post("/threads", content=body, headers=kind)
    assert (huge.status_code, huge.json()["message"]) == (422, "metadata holds an integer over 64 bits")
    refusals = (
        {"sort_by": "size"}, {"sort_order": "up"}, {"select": ["size"]}, {"limit": 0}, {"limit": 1_001},
        {"offset": -1}, {"status": "asleep"},
    )  # fmt: skip
    for wanted in refusals:
        assert next(iter(wanted)) in await refused(threads.search(**wanted), 422)
    assert "status" in await refused(threads.count(status="asleep"), 422)  # type: ignore[arg-type]


def test_the_sync_client_gets_the_same(sync_client: SyncLangGraphClient) -> None:
    made = sync_client.threads.create(metadata={"in": "step"})
    assert sync_client.threads.search(metadata={"in": "step"}) == [made]
    sync_client.threads.delete(made["thread_id"])
    assert sync_client.threads.count(metadata={"in": "step"}) == 0


async def test_a_number_of_many_digits_comes_back_as_it_was_sent(client: LangGraphClient) -> None:
    made = await client.threads.create(metadata={"drops in the sea": 1.2e25, "a drop": 1e-30})
    assert made["metadata"] == {"drops in the sea": 1.2e25, "a drop": 1e-30}
    assert (await client.threads.get(made["thread_id"]))["metadata"] == made["metadata"]
