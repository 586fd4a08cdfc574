"""A run's checkpoints: data and never code, its own attempt's alone, small, and found by a line of the log."""

import json
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_SINGLE_ARG, JsonPlusSerializer

from graph.errors import FenceLost
from graph.ports import ApprovalDecision, ModelCall, ModelReply
from serving.database import new_id
from serving.runs.checkpoints import CheckpointRefused, PostgresSaver
from serving.runs.checkpoints.seal import Seal
from tests.integration.run_house import KEY, House
from tests.integration.scripted_models import ScriptedModels, spoken, tool_call, tool_results


def command(witness: Path) -> str:
    return f"touch {witness}"


def as_msgpack(witness: Path) -> bytes:
    """An extension object as LangGraph's serializer writes one: module, name, argument."""
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


def saver(house: House, *owner: Any) -> PostgresSaver:
    return PostgresSaver(house.pool, *owner, key=KEY)


async def checkpoints(house: House, run_id: str) -> list[CheckpointTuple]:
    """Oldest first."""
    config: Any = {"configurable": {"thread_id": (await house.store.get(run_id)).thread_id}}
    return [found async for found in saver(house).alist(config)][::-1]


ENCODINGS = {"msgpack": as_msgpack, "json": as_json, "pickle": as_pickle}


@pytest.mark.filterwarnings("ignore")
def test_the_crafted_bytes_do_run_where_nothing_forbids_it(tmp_path: Path) -> None:
    """The control: for LangGraph's serializer the row below is a command. If not, the next test proves nothing."""
    witness = tmp_path / "ran"
    JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(("msgpack", as_msgpack(witness)))
    assert witness.exists()


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_callable_is_not_called_even_from_a_sealed_row(house: House, tmp_path: Path, encoding: str) -> None:
    witness, thread_id = tmp_path / "ran", new_id()
    config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"plan": {"steps": ["x" * 300]}}
    checkpoint["channel_versions"] = {"plan": 1}
    where: Any = await saver(house).aput(config, checkpoint, {"source": "loop", "step": 1}, {"plan": 1})
    await saver(house).aput_writes(where, [("outcomes", {"s1": {}})], "task")
    seal, bad = Seal(KEY, "default"), ENCODINGS[encoding](witness)
    write = ("write", (thread_id, "", checkpoint["id"], "task", 0, "outcomes", ""), "state_writes")
    value = ("value", (thread_id, "", "plan", "1"), "state_values")
    for kind, place, table in (write, value):
        sealed = seal.close(kind, place, bad)  # type: ignore[arg-type]
        changed = f"update {table} set sealed = %s where thread_id = %s returning 1"  # noqa: S608
        assert house.execute(changed, sealed, thread_id)
        with suppress(CheckpointRefused):  # else it is plain data
            await saver(house).aget_tuple(config)
    assert not witness.exists()


async def test_a_poisoned_checkpoint_ends_one_run_and_calls_nothing(house: House, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    run_id = await house.create(review_plan=True)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    changed = "update state_checkpoints set sealed = %s where run_id = %s returning 1"
    assert house.execute(changed, as_msgpack(witness), run_id)
    await house.decisions.decide(run_id, "plan-1", ApprovalDecision(type="approve", by="ops"))
    await house.executor(ScriptedModels()).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert view.status == "error"
    assert view.error is not None
    assert view.error.code == "checkpoint_refused"
    assert not witness.exists()


async def test_an_attempt_that_lost_its_run_writes_no_checkpoint(house: House) -> None:
    config: Any = {"configurable": {"thread_id": new_id(), "checkpoint_ns": ""}}
    await house.create()
    old = await house.claim()
    await house.queue.release(old)
    new = await house.claim()
    late = saver(house, old.run_id, old.fence)
    with pytest.raises(FenceLost):
        await late.aput(config, empty_checkpoint(), {"source": "loop", "step": 1}, {})
    owner = saver(house, new.run_id, new.fence)
    where = await owner.aput(config, empty_checkpoint(), {"source": "loop", "step": 1}, {})
    with pytest.raises(FenceLost):
        await late.aput_writes(where, [("outcomes", {"s1": {}})], "task-1")
    read = await late.aget_tuple(config)
    assert read is not None
    assert read.pending_writes == []


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
        tables = ("state_checkpoints", "state_values", "state_items")
        kept = " union all ".join(f"select sealed from {table} where thread_id = %s" for table in tables)  # noqa: S608
        sizes.append(house.execute(f"select sum(length(sealed)) from ({kept}) k", *[view.thread_id] * 3)[0])  # noqa: S608
    assert sizes[0] == sizes[1]
