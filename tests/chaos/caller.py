"""A caller of the API, as an app is: it creates a run, follows it over cuts, decides what it is asked, waits.

What it was told stays with it: the oracle holds the system to it.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.counter import Wire
from tests.chaos.http import Answer, Broken, Frame, follow, request
from tests.chaos.steering import fork, hold, stop

_QUIET_S = 3.0
_PAUSE_S = 0.1
_OVER = ("success", "error", "timeout", "cancelled")
_MOST_RESUMES = 5


@dataclass(frozen=True, slots=True)
class Origin:
    """Of a fork: what was asked for, and the line that it must go on from."""

    run_id: str
    at: int
    seq: int


@dataclass(slots=True)
class Told:
    """All that the API said to one caller about one run."""

    kind: str
    goal: str
    key: str
    run_id: str = ""
    frames: dict[int, bytes] = field(default_factory=dict)
    decided: list[tuple[str, str]] = field(default_factory=list)  # (approval, decision) of every 200
    cancelled: bool = False  # whether it asked for it
    resumes: int = 0
    looked: int = 0
    edits: list[dict[str, Any]] = field(default_factory=list)  # the plan of every 200
    origin: Origin | None = None
    ended: str = ""
    faults: list[str] = field(default_factory=list)


class Caller:
    """Talks to any of the API's `ports`; every choice comes from `seed`."""

    def __init__(self, ports: Sequence[int], kind: str, seed: str, wire: Wire, origin: Origin | None = None) -> None:
        """`wire`: to the counter, in which a person can look."""
        self._ports, self.chance, self._wire, self._seed = ports, random.Random(seed), wire, seed
        goal = _GOALS.get(kind, f"chaos {kind}") + f" {seed.replace(':', ' ')}"
        self.told = Told(kind, goal, f"chaos-{seed}", origin=origin)
        self._cut = self.chance.random() < 0.3
        self._asides: set[asyncio.Task[None]] = set()
        self._forks: list[Caller] = []

    def all_told(self) -> list[Told]:
        return [self.told, *(child.told for child in self._forks)]

    async def run(self) -> Told:
        """Ends when the run has, or is cancelled by the harness's patience."""
        told = self.told
        await self._create()
        if told.kind in ("cancelled", "resumed"):
            self._aside(self._cancel(self.chance.uniform(0, 1.0)))
        if told.kind in _STEERED:
            self._aside(_STEERED[told.kind](self))
        while not told.ended:
            await self._follow()
            view = await self.view()
            if view["phase"] == "paused" and not told.cancelled and all(aside.done() for aside in self._asides):
                await self.resume()  # it was forked to wait, or its pause was given up for lost and came late
            elif view["status"] in _OVER and view["last_seq"] in told.frames:
                if self._wanted_after_all(view):
                    await asyncio.gather(*self._asides)
                    told.resumes += 1
                    await self.resume()
                    continue
                told.ended = view["status"]
        await asyncio.gather(*self._asides)
        return told

    def _wanted_after_all(self, view: dict[str, Any]) -> bool:
        """Cancelled, killed ten times in a row, or failed with its model: it is taken up again, as it says."""
        if view["status"] == "cancelled":
            return self.told.kind == "resumed" and not self.told.resumes
        code = (view.get("error") or {}).get("code")
        return self.told.resumes < _MOST_RESUMES and code in ("gave_up", "model_unavailable")

    async def _create(self) -> None:
        told, path = self.told, "/runs"
        body: dict[str, Any] = {"goal": told.goal, "review_plan": told.kind == "reviewed"}
        if told.origin:
            path = f"/runs/{told.origin.run_id}/fork"
            body = {"at": told.origin.at, "paused": self.chance.random() < 0.3}
        headers = {"Idempotency-Key": told.key}
        answer = await self.asked("POST", path, lambda answer: answer.status in (200, 202), body, headers)
        told.run_id = answer.json()["run_id"]

    async def fork(self, at: int, seq: int) -> None:
        """Follows a fork of its run to the end, as it does the run; what it decides there is said of that run."""
        child = Caller(self._ports, "fork", f"{self._seed}:fork", self._wire, Origin(self.told.run_id, at, seq))
        self._forks.append(child)
        await child.run()

    async def view(self) -> dict[str, Any]:
        path = f"/runs/{self.told.run_id}"
        found: dict[str, Any] = (await self.asked("GET", path, lambda answer: answer.status == 200)).json()
        return found

    async def say(self, what: str, *good: int, method: str = "POST", body: Any = None) -> Answer:
        """About its run; `good` besides 200 and 409."""
        path = f"/runs/{self.told.run_id}/{what}"
        return await self.asked(method, path, lambda answer: answer.status in (200, 409, *good), body)

    async def resume(self) -> None:
        await self.say("resume")

    async def cancel(self) -> None:
        self.told.cancelled = True  # from here on: an answer may be lost
        await self.say("cancel")

    async def _follow(self) -> None:
        """One stream, until it ends or breaks; now and then it is left in the middle."""
        told = self.told
        try:
            async for frame in follow(self._port(), told.run_id, max(told.frames, default=0), _QUIET_S):
                self._take(frame)
                if self._cut and self.chance.random() < 0.05:
                    return
        except Broken:
            await asyncio.sleep(_PAUSE_S)

    def _take(self, frame: Frame) -> None:
        told = self.told
        if frame.seq != max(told.frames, default=0) + 1:
            told.faults.append(f"event {frame.seq} was shown behind {max(told.frames, default=0)}")
        if told.frames.setdefault(frame.seq, frame.data) != frame.data:
            told.faults.append(f"event {frame.seq} was shown twice, in other bytes")
        if b'"approval_requested"' in frame.data or b'"effect_unknown"' in frame.data:
            asked = frame.body
            if asked["kind"] == "approval_requested":
                self._aside(self._decide(asked["approval_id"]))
            elif asked["kind"] == "effect_unknown":
                self._aside(self._look(asked["key"], asked["round"]))

    async def _decide(self, approval_id: str) -> None:
        """Two reviewers at once, of two minds: only one may be heard."""
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        minds = ["approve", "reject"] if self.chance.random() < 0.3 else ["approve"]
        await asyncio.gather(*(self._answer(approval_id, decision) for decision in minds))

    async def _look(self, key: str, round_: int) -> None:
        """As a person does: looks in the world outside whether it happened, and says so. A word whose answer is lost is
        sent again."""
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        refused = b"effect_in_flight"
        while b"effect_in_flight" in refused or b"effect_look_again" in refused:
            happened = (await self._wire.ask(act="check", key=key))["happened"]
            decision = "happened" if happened else self.chance.choice(["did_not", "retry"])
            refused = (await self.say(f"effects/{key}", body={"decision": decision, "round": round_})).body
        self.told.looked += 1

    async def _answer(self, approval_id: str, decision: str) -> None:
        answer = await self.say("approve", body={"approval_id": approval_id, "decision": decision, "by": "chaos"})
        if answer.status == 200:
            self.told.decided.append((approval_id, decision))

    async def _cancel(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self.cancel()

    async def asked(
        self,
        method: str,
        path: str,
        good: Callable[[Answer], bool],
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Asks until an API process answers with what is good; a refusal that isn't `try again` is a fault."""
        while True:
            try:
                answer = await request(self._port(), method, path, body, headers)
            except Broken:
                await asyncio.sleep(_PAUSE_S)
                continue
            if good(answer):
                return answer
            if answer.status < 500:
                self.told.faults.append(f"{method} {path} was refused: {answer.status} {answer.body[:200]!r}")
                raise AssertionError(self.told.faults[-1])
            if answer.status != 503:
                self.told.faults.append(f"{method} {path} failed: {answer.status} {answer.body[:200]!r}")
            await asyncio.sleep(_PAUSE_S)

    def _port(self) -> int:
        return self.chance.choice(self._ports)

    def _aside(self, work: Any) -> None:
        self._asides.add(asyncio.create_task(work))


_STEERED: dict[str, Callable[[Caller], Coroutine[Any, Any, None]]] = {"held": hold, "stopped": stop, "forked": fork}
_GOALS = {"offline": "What is 17 times 23? I prefer metric units in run"}
