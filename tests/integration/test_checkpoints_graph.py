"""A graph with fan-out, a subgraph and an interrupt sees no difference between our saver and LangGraph's in memory."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import psycopg
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, StateUpdate, interrupt

from graph.errors import StorageLost
from graph.faults import Faults, install
from serving.runs.checkpoints import PostgresSaver
from serving.runs.checkpoints.codec import Codec
from tests.integration.checkpoint_house import State, claim, compiled, config, opened, put, saver


def told(snapshot: Any, *, results: bool) -> Any:
    """What a caller sees of a snapshot, without ids and times."""
    tasks = [(task.name, without_ids(task.result) if results else None, task.interrupts) for task in snapshot.tasks]
    tasks = [(name, result, [asked.value for asked in interrupts]) for name, result, interrupts in tasks]
    values = without_ids(snapshot.values)
    metadata = {key: snapshot.metadata.get(key) for key in ("source", "step")}
    return values, snapshot.next, tasks, metadata, bool(snapshot.parent_config)


def without_ids(values: Any) -> Any:
    if not values:
        return values
    return {**values, "messages": [(message.type, message.content) for message in values.get("messages", [])]}


async def story(graph: Any, at: Any) -> list[Any]:
    """Run into the interrupt, resume, go back and fork, and edit the state."""
    seen: list[Any] = []
    await graph.ainvoke({"messages": [HumanMessage("hi \ud800", id="h")]}, at, durability="sync")
    seen.append((await graph.aget_state(at, subgraphs=True)).tasks[0].state.next)
    await graph.ainvoke(Command(resume="yes"), at, durability="sync")
    seen.append([snapshot async for snapshot in graph.aget_state_history(at)])
    before_review = next(snapshot for snapshot in seen[-1] if snapshot.next == ("review",))
    await graph.ainvoke(None, before_review.config, durability="sync")
    await graph.ainvoke(Command(resume="again"), at, durability="async")
    seen.append([snapshot async for snapshot in graph.aget_state_history(at)])
    await graph.aupdate_state(at, {"plan": {"edited": True}, "messages": [AIMessage("by hand")]}, as_node="answer")
    fork = await graph.aupdate_state(before_review.config, {"found": ["forked"]}, as_node="search")
    seen.append([await graph.aget_state(fork)])
    seen.append([snapshot async for snapshot in graph.aget_state_history(at, limit=4)])
    return seen


@pytest.mark.parametrize(("task_results", "fresh"), [(True, True), (False, False)])
async def test_a_graphs_whole_story_is_the_same_as_in_memory(emptied: str, task_results: bool, fresh: bool) -> None:
    run_id, thread_id = claim(emptied)
    async with opened(emptied) as pool:
        keeper = saver(pool, run_id, 1, task_results=task_results, fresh=fresh)
        ours = await story(compiled(keeper), config(thread_id))
    memory = await story(compiled(InMemorySaver(serde=Codec())), config(thread_id))
    assert ours[0] == memory[0] == ("ask",)
    for mine, theirs in zip(ours[1:], memory[1:], strict=True):
        assert [told(one, results=task_results) for one in mine] == [told(one, results=task_results) for one in theirs]
    texts = [[message.content for message in snapshot.values["messages"]] for snapshot in ours[2][:1]]
    assert texts == [["hi \ud800", "y" * 200, "y" * 200, "again", "done"]]


def history() -> list[list[StateUpdate]]:
    """Of more turns than go out at once, one of them written by two nodes, one told once more."""
    begin = StateUpdate({"messages": [HumanMessage("hi", id="h")]}, "__input__")
    turns = [[StateUpdate({"plan": {"n": n}}, "answer")] for n in range(220)]
    said = [[StateUpdate({"messages": [AIMessage(f"{n}", id=f"{n}")]}, "answer")] for n in range(3)]
    both = [StateUpdate({"found": ["a"]}, "search"), StateUpdate({"found": ["b"]}, "search")]
    return [[begin], *said, both, [StateUpdate(None, "__copy__")], *turns, *said]


async def test_a_history_is_written_at_once_and_is_the_same_as_in_memory(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, statements, turns = config(), 0, 0
    execute = psycopg.AsyncConnection.execute

    async def counted(*given: Any, **more: Any) -> Any:
        nonlocal statements
        statements += 1
        return await execute(*given, **more)

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with opened(emptied) as pool:
        keeper, elsewhere = saver(pool, task_results=True), asyncio.create_task(others())
        monkeypatch.setattr(psycopg.AsyncConnection, "execute", counted)
        async with pool.connection() as connection, connection.transaction(), keeper.replaying(connection) as whole:
            await compiled(whole).abulk_update_state(at, history())
        monkeypatch.undo()
        elsewhere.cancel()
        ours = [each async for each in compiled(keeper).aget_state_history(at)]
    memory = compiled(InMemorySaver(serde=Codec()))
    await memory.abulk_update_state(at, history())
    theirs = [each async for each in memory.aget_state_history(at)]
    assert [told(each, results=True) for each in ours] == [told(each, results=True) for each in theirs]
    assert (len(ours), statements < 10, turns > len(ours)) == (len(history()), True, True)


@pytest.mark.parametrize("cut", ["checkpoint.ready", "checkpoint.committed"])
async def test_an_update_of_the_state_is_there_whole_or_not_at_all(emptied: str, cut: str) -> None:
    """As a node that waits, whose task LangGraph marks as done before it makes the checkpoint behind it."""
    run_id, thread_id = claim(emptied)
    at = config(thread_id)
    async with opened(emptied) as pool:
        saving = saver(pool, run_id, 1, task_results=True)
        graph = compiled(saving)
        await graph.ainvoke({"messages": [HumanMessage("hi", id="h")]}, at, interrupt_before=["search"])
        before = await graph.aget_state(at)
        install(Faults(f"{cut}=raise", StorageLost))
        with pytest.raises(StorageLost):
            async with saving.updating() as whole:
                await graph.copy({"checkpointer": whole}).aupdate_state(at, {"found": ["by hand"]}, as_node="search")
        install(None)
        after = await graph.aget_state(at)
    if cut == "checkpoint.ready":
        assert after == before
    else:
        assert (after.values["found"], after.metadata["source"]) == (
            [*before.values.get("found", []), "by hand"],
            "update",
        )


async def test_what_an_update_writes_behind_its_checkpoint_goes_with_its_transaction(emptied: str) -> None:
    async with opened(emptied) as pool:
        keeper = saver(pool)
        async with (
            pool.connection() as connection,
            connection.transaction(force_rollback=True),
            keeper.updating(connection) as whole,
        ):
            stored = await put(whole, config(), step=1)
            await whole.aput_writes(stored, [("step", 2)], "task")
    with psycopg.connect(emptied) as reading:
        assert reading.execute("select from state_checkpoints union all select from state_writes").fetchall() == []


def joined(old: list[str], new: Sequence[list[str]]) -> list[str]:
    return old + [item for items in new for item in items]


class DeltaState(TypedDict, total=False):
    found: Annotated[list[str], DeltaChannel(joined)]


@pytest.mark.filterwarnings("ignore")
async def test_a_channel_that_is_replayed_from_writes_finds_them(emptied: str) -> None:
    async def find(state: DeltaState) -> DeltaState:
        return {"found": [f"item {len(state.get('found', []))}"]}

    async def again(state: DeltaState) -> str:
        return "find" if len(state["found"]) < 7 else END

    graph = StateGraph(DeltaState)
    graph.add_node("find", find)
    graph.add_edge(START, "find")
    graph.add_conditional_edges("find", again, ["find", END])
    async with opened(emptied) as pool:
        at = config()
        await graph.compile(checkpointer=saver(pool)).ainvoke({"found": ["first"]}, at, durability="sync")
        state = await graph.compile(checkpointer=saver(pool)).aget_state(at)
        await saver(pool).aprune([at["configurable"]["thread_id"]])
        pruned = await graph.compile(checkpointer=saver(pool)).aget_state(at)
    assert state.values["found"] == pruned.values["found"] == ["first", *(f"item {at}" for at in range(1, 7))]


async def test_finished_steps_of_a_superstep_are_not_run_again_after_a_crash(emptied: str) -> None:
    run_id, thread_id = claim(emptied)
    ran: list[str] = []
    stuck = asyncio.Event()

    async def quick(state: State) -> State:
        ran.append("quick")
        return {"found": ["quick"]}

    async def slow(state: State) -> State:
        ran.append("slow")
        await stuck.wait()
        return {"found": ["slow"]}

    graph = StateGraph(State)
    for name, node in (("quick", quick), ("slow", slow)):
        graph.add_node(name, node)
        graph.add_edge(START, name)
    async with opened(emptied) as pool:
        first = asyncio.create_task(
            graph.compile(checkpointer=saver(pool, run_id, 1)).ainvoke({"step": 1}, config(thread_id))
        )
        await until_stored(emptied, "quick")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        stuck.set()
        state = await graph.compile(checkpointer=saver(pool, run_id, 1)).ainvoke(None, config(thread_id))
    assert sorted(state["found"]) == ["quick", "slow"]
    assert ran.count("quick") == 1


async def until_stored(dsn: str, what: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for _ in range(3_000):
            rows = await (await connection.execute("select sealed from state_writes")).fetchall()
            if any(what.encode() in row[0] for row in rows):
                return
            await asyncio.sleep(0.01)
    raise AssertionError(f"{what} was never stored")


async def test_a_node_asks_one_question_after_another(emptied: str) -> None:
    def ask(state: State) -> State:
        return {"found": [interrupt(question) for question in ("who?", "when?", "why?")]}

    async with opened(emptied) as pool:
        graph: Any = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=saver(pool))
        at = config()
        values = await graph.ainvoke({"step": 1}, at)
        for answer in ("Bo", "now", "why not"):
            (asked,) = values["__interrupt__"]
            values = await graph.ainvoke(Command(resume={asked.id: answer}), at)
    assert values["found"] == ["Bo", "now", "why not"]


def nested_in_sync_code(saver: Any) -> Any:
    """A node that isn't async, and invokes a graph that asks a person and looks at its own past."""

    def ask(state: State) -> State:
        return {"messages": [HumanMessage(interrupt("go on?"))]}

    inner: Any = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()

    def call(state: State, config: RunnableConfig) -> State:
        found = inner.invoke({"step": 7})
        past = inner.get_state_history({"configurable": {**config["configurable"], "checkpoint_id": None}}, limit=1)
        return {"messages": found["messages"], "found": [str(len(list(past)))], "step": found["step"]}

    return StateGraph(State).add_node("call", call).add_edge(START, "call").compile(checkpointer=saver)


async def test_a_sync_node_invokes_a_graph_that_asks(emptied: str) -> None:
    run_id, thread_id = claim(emptied)
    at, found = config(thread_id), {}
    async with opened(emptied) as pool:
        for keeper in (saver(pool, run_id, 1), InMemorySaver()):
            graph = nested_in_sync_code(keeper)
            asked = await graph.ainvoke({"step": 1}, at)
            assert [each.value for each in asked["__interrupt__"]] == ["go on?"]
            found[keeper] = await graph.ainvoke(Command(resume="yes"), at)
    ours, memory = found.values()
    assert without_ids(ours) == without_ids(memory)
    assert [message.content for message in ours["messages"]] == ["yes"]


async def test_a_saver_serves_a_loop_of_another_thread_while_its_own_writes(emptied: str) -> None:
    """As a sync node has one that calls asyncio.run: what wakes the saver's loop doesn't wake that one."""
    at = config()

    async def elsewhere(keeper: PostgresSaver) -> tuple[float, Any, list[Any]]:
        begun = time.monotonic()
        async with asyncio.timeout(20):  # the only thing that would wake it
            stored = await put(keeper, at, step=2)
            await keeper.aput_writes(stored, [("step", 3)], "task")
        return time.monotonic() - begun, stored, [found async for found in keeper.alist(at)]

    async with opened(emptied) as pool:
        keeper = saver(pool)
        with psycopg.connect(emptied) as holding:
            holding.execute("lock table state_checkpoints in exclusive mode")
            here = asyncio.create_task(put(keeper, config(), step=1))
            await asyncio.sleep(0.1)
            there = asyncio.create_task(asyncio.to_thread(asyncio.run, elsewhere(keeper)))
            await asyncio.sleep(0.1)
        await here
        took, stored, (found,) = await there
    assert (found.config, found.pending_writes) == (stored, [("task", "step", 3)])
    assert took < 15


async def test_the_sync_methods_say_in_async_code_what_to_call(emptied: str) -> None:
    async with opened(emptied) as pool:
        with pytest.raises(RuntimeError, match="call ainvoke"):
            saver(pool).get_tuple(config())
