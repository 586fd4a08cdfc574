"""Task writes that wait a moment for the checkpoint that contains them: committed together, they need not be stored,
or their rows go with it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from langgraph.checkpoint.base import WRITES_IDX_MAP

from serving.runs.checkpoints.place import Place
from serving.runs.checkpoints.rows import Entry

Of: TypeAlias = tuple[Place, str | None]  # the checkpoint that writes are on top of

_NULL_TASK = "00000000-0000-0000-0000-000000000000"
# LangGraph saves the next checkpoint within this many turns of the event loop after the last task of a superstep.
_TURNS = 8


def may_hold(task_id: str, writes: Sequence[tuple[str, Any]]) -> bool:
    """A finished task's: what an interrupt, an error or a resume writes is stored at once."""
    return task_id != _NULL_TASK and not any(channel in WRITES_IDX_MAP for channel, _ in writes)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """`rows`: what is to be kept of them."""

    durable: asyncio.Future[bool]
    rows: Entry | None


class HeldWrites:
    def __init__(self) -> None:
        self._waiting: dict[Of, list[Held]] = {}
        self._being_put: dict[Of, asyncio.Future[None]] = {}

    async def hold(self, of: Of, rows: Entry | None = None) -> bool:
        """True once a checkpoint that contains the writes is durable; False when they have to be stored themselves."""
        loop = asyncio.get_running_loop()
        held = Held(loop.create_future(), rows)
        self._waiting.setdefault(of, []).append(held)
        if of in self._being_put:  # the next checkpoint isn't put before this one is durable
            self._being_put[of].add_done_callback(lambda _: self._wait(of, held, _TURNS))
        else:
            self._wait(of, held, _TURNS)
        return await held.durable

    @contextmanager
    def contained(self, parent: Of | None, own: Of) -> Iterator[Sequence[Entry]]:
        """In this block checkpoint `own` is put, with the rows that are given: it contains what is held just now of
        `parent`."""
        held = self._waiting.pop(parent, []) if parent else []
        put = self._being_put[own] = asyncio.get_running_loop().create_future()
        durable = False
        try:
            yield [each.rows for each in held if each.rows]
            durable = True
        finally:
            put.set_result(None)
            self._being_put.pop(own, None)
            for waiting in held:
                if not waiting.durable.done():
                    waiting.durable.set_result(durable)

    def _wait(self, of: Of, held: Held, turns: int) -> None:
        waiting = self._waiting.get(of, [])
        if held not in waiting:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._wait, of, held, turns - 1)
            return
        waiting.remove(held)
        if not waiting:
            del self._waiting[of]
        if not held.durable.done():
            held.durable.set_result(False)
