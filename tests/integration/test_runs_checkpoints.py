"""Checkpoints hold data, never code: what a row names is not called, whichever encoding names it."""

import json
import pickle
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_SINGLE_ARG, JsonPlusSerializer

from graph.errors import FenceLost
from graph.ports import ApprovalDecision, ModelCall, ModelReply
from serving.database import new_id
from serving.runs.checkpoints import FencedSaver
from tests.integration.run_house import House
from tests.integration.scripted_models import ScriptedModels, spoken, tool_call, tool_results


def command(witness: Path) -> str:
    return f"touch {witness}"


def as_msgpack(witness: Path) -> bytes:
    """An extension object as the serializer writes one: module, name, argument."""
    return ormsgpack.packb(
        {"goal": ormsgpack.Ext(EXT_CONSTRUCTOR_SINGLE_ARG, ormsgpack.packb(("posix", "system", command(witness))))}
    )


def as_json(witness: Path) -> bytes:
    call = {"lc": 2, "type": "constructor", "id": ["posix", "system"], "args": [command(witness)], "kwargs": {}}
    return json.dumps({"goal": call}).encode()


class _Pickled:
    def __init__(self, witness: Path) -> None:
        self._witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        import posix

        return posix.system, (command(self._witness),)


def as_pickle(witness: Path) -> bytes:
    return pickle.dumps(_Pickled(witness))


async def saver(house: House) -> FencedSaver:
    """That of an attempt which owns a run."""
    await house.create()
    claim = await house.claim()
    return FencedSaver(house.pool, claim.run_id, claim.fence)


ENCODINGS = {"msgpack": as_msgpack, "json": as_json, "pickle": as_pickle}


@pytest.mark.filterwarnings("ignore")
def test_the_crafted_bytes_do_run_where_nothing_forbids_it(tmp_path: Path) -> None:
    """The control: without strict mode the row below is a command. If this fails, the tests below prove nothing."""
    witness = tmp_path / "ran"
    JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(("msgpack", as_msgpack(witness)))
    assert witness.exists()


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_callable_in_a_channel_is_not_called(house: House, tmp_path: Path, encoding: str) -> None:
    witness, thread_id = tmp_path / "ran", new_id()
    config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"plan": {"steps": []}}
    checkpoint["channel_versions"] = {"plan": "1"}
    written = await saver(house)
    await written.aput(config, checkpoint, {"source": "loop", "step": 1}, {"plan": "1"})
    house.execute(
        "update checkpoint_blobs set type = %s, blob = %s where thread_id = %s",
        encoding,
        ENCODINGS[encoding](witness),
        thread_id,
    )
    try:
        read = await (await saver(house)).aget_tuple(config)
    except NotImplementedError:
        assert encoding == "pickle", "the encoding itself is not known"
    else:
        assert read is not None
        assert json.dumps(read.checkpoint["channel_values"]["plan"]), "what comes back is plain data"
    assert not witness.exists()


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_callable_in_a_pending_write_is_not_called(house: House, tmp_path: Path, encoding: str) -> None:
    witness, thread_id = tmp_path / "ran", new_id()
    config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    written = await saver(house)
    where: Any = await written.aput(config, empty_checkpoint(), {"source": "loop", "step": 1}, {})
    await written.aput_writes(where, [("outcomes", {"s1": {}})], "task-1")
    house.execute(
        "update checkpoint_writes set type = %s, blob = %s where thread_id = %s",
        encoding,
        ENCODINGS[encoding](witness),
        thread_id,
    )
    try:
        await (await saver(house)).aget_tuple(config)
    except NotImplementedError:
        assert encoding == "pickle"
    assert not witness.exists()


async def test_a_poisoned_checkpoint_ends_one_run_and_calls_nothing(house: House, tmp_path: Path) -> None:
    """A run whose plan channel was exchanged goes on from its log or fails; either way no command runs."""
    witness = tmp_path / "ran"
    run_id = await house.create(review_plan=True)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    thread_id = (await house.store.get(run_id)).thread_id
    changed = house.execute(
        "update checkpoint_blobs set type = 'msgpack', blob = %s where thread_id = %s and channel = 'plan' returning 1",
        as_msgpack(witness),
        thread_id,
    )
    assert changed
    await house.store.decide(run_id, "plan-1", ApprovalDecision(type="approve", by="ops"))
    await house.executor(ScriptedModels()).attempt(await house.claim())
    assert (await house.store.get(run_id)).status in ("success", "error")
    assert not witness.exists()


async def test_an_attempt_that_lost_its_run_writes_no_checkpoint(house: House) -> None:
    config: Any = {"configurable": {"thread_id": new_id(), "checkpoint_ns": ""}}
    await house.create()
    old = await house.claim()
    await house.queue.release(old)
    new = await house.claim()
    late = FencedSaver(house.pool, old.run_id, old.fence)
    with pytest.raises(FenceLost):
        await late.aput(config, empty_checkpoint(), {"source": "loop", "step": 1}, {})
    where = await FencedSaver(house.pool, new.run_id, new.fence).aput(
        config, empty_checkpoint(), {"source": "loop", "step": 1}, {}
    )
    with pytest.raises(FenceLost):
        await late.aput_writes(where, [("outcomes", {"s1": {}})], "task-1")
    read = await late.aget_tuple(config)
    assert read is not None
    assert read.pending_writes == []


async def test_what_a_run_keeps_comes_back_as_it_was(house: House) -> None:
    """Messages are the only classes in a checkpoint; all else is plain JSON, whatever characters it holds."""
    thread_id = new_id()
    config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    values = {
        "plan": {"steps": [{"id": "s1", "goal": 'ünd "lc": 2, \U0001f600', "depends_on": []}]},
        "outcomes": {"s1": {"finding": "tab\t and NUL \x00 and 1e308", "n": 2**63 - 1, "x": 0.1}},
        "messages": [HumanMessage("hi", id="1"), AIMessage("It is 42 [1].", id="2")],
        "goal": "Find [EMAIL_1]",
    }
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = dict(values)
    checkpoint["channel_versions"] = dict.fromkeys(values, "1")
    await (await saver(house)).aput(config, checkpoint, {"source": "loop", "step": 1}, dict.fromkeys(values, "1"))
    read = await (await saver(house)).aget_tuple(config)
    assert read is not None
    assert read.checkpoint["channel_values"] == values


async def test_a_checkpoint_stays_small_however_long_the_run_was(house: House) -> None:
    """The transcript rests in the log: forty turns more add not a byte to the state of a step."""

    def turns(number: int) -> ScriptedModels:
        async def worker(call: ModelCall) -> ModelReply:
            if len(tool_results(call)) < number:
                return spoken("", tool_call(call, "lookup", query=f"q{len(tool_results(call))}"))
            return spoken("", tool_call(call, "report", status="done", finding="42", sources=[]))

        return ScriptedModels(worker=worker)

    sizes = []
    for number in (1, 40):
        view = await house.finish(turns(number))
        assert view.status == "success"
        assert view.usage.tool_calls == number
        size = house.execute(
            "select sum(length(blob)), count(*) from checkpoint_blobs where thread_id = %s", view.thread_id
        )
        sizes.append(size[0])
    assert sizes[0] == sizes[1]
