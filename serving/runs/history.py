"""All that a run goes on from: for a fork, what it inherited and what it did itself."""

from dataclasses import dataclass

from graph.events import RunEvent
from serving.database import Pool
from serving.runs.log import read_all, read_inherited


@dataclass(frozen=True, slots=True)
class History:
    inherited: list[RunEvent]
    own: list[RunEvent]

    @property
    def whole(self) -> list[RunEvent]:
        return [*self.inherited, *self.own]


async def read_history(pool: Pool, run_id: str, lasting: int | None = None) -> History:
    """`lasting`: the run's own lines up to this one, without what they say in passing."""
    own = await read_all(pool, run_id, lasting=lasting)
    return History(await read_inherited(pool, own), own)
