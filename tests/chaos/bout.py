"""A bout: callers keep the system busy while things go wrong again and again; then every run must come to an end."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import psycopg

from serving.runs.attempts.heartbeat import EXIT_START_AGAIN
from tests.chaos.arena import LEASE_S, Arena
from tests.chaos.caller import Caller, Told
from tests.chaos.counter import Wire
from tests.chaos.history import histories, take_overs
from tests.chaos.models import KINDS
from tests.chaos.oracle import Findings, judge
from tests.chaos.pulse import Pulse

Trouble = Callable[["Bout"], Awaitable[None]]


@dataclass(slots=True)
class Bout:
    """`seed` decides who calls for what, and what goes wrong when; only the machine's own timing is left to chance."""

    arena: Arena
    mode: str
    seed: int
    times: int = 1
    kinds: Sequence[str] = KINDS
    width: int = 10
    patience_s: float = 60.0
    chance: random.Random = field(init=False)
    wire: Wire = field(init=False)
    pulse: Pulse = field(default_factory=Pulse)
    callers: list[Caller] = field(default_factory=list)
    tasks: set[asyncio.Task[Told]] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)  # kinds of which there are to be more just now
    database_back: list[float] = field(default_factory=list)
    over: bool = False

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.mode} {self.seed}")
        self.wire = Wire(str(self.arena.home / "counter.sock"))

    async def fight(self, trouble: Trouble) -> Findings:
        with self.pulse.felt():
            return await self._fight(trouble)

    async def _fight(self, trouble: Trouble) -> Findings:
        await self.arena.fill_all()
        beside = [asyncio.create_task(work) for work in (self._keep_busy(), self._keep_filled())]
        try:
            await trouble(self)
        finally:
            self.over = True
            await asyncio.gather(*beside)
        await self.arena.fill_all()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=self.patience_s)
        broken = [task for task in self.tasks if task.done() and task.exception()]
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        told = [each for caller in self.callers for each in caller.all_told()]
        findings = await judge(self.arena, told)
        findings.wrong += self.missed
        findings.wrong += [f"a caller broke off: {task.exception()!r}" for task in broken if not task.cancelled()]
        known = histories(self.arena.dsn, [each.run_id for each in told if each.run_id])
        for died, taken in take_overs(known.values(), self.arena.zygote.processes.values()):
            findings.take_overs.append(taken - died)
            findings.slow_take_overs += taken - died - self.pulse.kept_s(died, taken) > LEASE_S + 1
        written = sorted(at for history in known.values() for at in history.times)
        findings.recoveries = [
            min((at for at in written if at > back), default=back + 99) - back for back in self.database_back
        ]
        findings.counts.update(self.counts)
        return findings

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    async def _keep_filled(self) -> None:
        """As a supervisor does: who ends by itself is started again, as after a long standstill."""
        while not self.over:
            for slot in self.arena.slots:
                process = slot.process
                if process and process.gone.is_set() and process.code not in (-signal.SIGKILL, -signal.SIGTERM, 0):
                    if self.mode == "points" and process.code != EXIT_START_AGAIN:
                        continue  # it was told to
                    self.count(f"{slot.kind} ended by itself with {process.code}")
                    await self.arena.refill(slot)
            await asyncio.sleep(0.1)

    async def _keep_busy(self) -> None:
        chance = random.Random(f"load {self.mode} {self.seed}")
        while not self.over:
            while sum(not task.done() for task in self.tasks) < self.width:
                number = len(self.callers)
                kind = self.kinds[number % len(self.kinds)]
                if self.wanted and chance.random() < 0.5:
                    kind = chance.choice(self.wanted)
                caller = Caller(self.arena.ports, kind, f"{self.mode}:{self.seed}:{number}", self.wire)
                self.callers.append(caller)
                self.tasks.add(asyncio.create_task(caller.run()))
                await asyncio.sleep(chance.uniform(0, 0.05))
            await asyncio.sleep(0.02)


def watch(arena: Arena) -> None:
    """Puts the oracle's eyes into the database; its tables must be there."""
    with psycopg.connect(arena.dsn, autocommit=True) as connection:
        connection.execute((files("tests.chaos") / "watch.sql").read_bytes())
