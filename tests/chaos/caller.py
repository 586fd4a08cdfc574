"""A caller of the API, as an app is: it creates a run, follows it over cuts, decides what it is asked, waits.

What it was told stays with it: the oracle holds the system to it.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.counter import Wire
from tests.chaos.http import Answer, Broken, Frame, follow, request

_QUIET_S = 3.0
_PAUSE_S = 0.1
_OVER = ("success", "error", "timeout", "cancelled")


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
    ended: str = ""
    faults: list[str] = field(default_factory=list)


class Caller:
    """Talks to any of the API's `ports`; every choice comes from `seed`."""

    def __init__(self, ports: Sequence[int], kind: str, seed: str, wire: Wire) -> None:
        """`wire`: to the counter, in which a person can look."""
        self._ports, self._chance, self._wire = ports, random.Random(seed), wire
        goal = _GOALS.get(kind, f"chaos {kind}") + f" {seed.replace(':', ' ')}"
        self.told = Told(kind, goal, f"chaos-{seed}")
        self._cut = self._chance.random() < 0.3
        self._asides: set[asyncio.Task[None]] = set()

    async def run(self) -> Told:
        """Ends when the run has, or is cancelled by the harness's patience."""
        told = self.told
        await self._create()
        if told.kind in ("cancelled", "resumed"):
            self._aside(self._cancel(self._chance.uniform(0, 1.0)))
        while not told.ended:
            await self._follow()
            view = (await self._asked("GET", f"/runs/{told.run_id}", lambda answer: answer.status == 200)).json()
            if view["status"] in _OVER and view["last_seq"] in told.frames:
                # Killed ten times in a row, or cancelled and wanted after all: it is taken up again, as it says.
                gave_up = (view.get("error") or {}).get("code") == "gave_up"
                again = told.kind == "resumed" and view["status"] == "cancelled" and not told.resumes
                if again or (gave_up and told.resumes < 5):
                    await asyncio.gather(*self._asides)
                    told.resumes += 1
                    await self._asked("POST", f"/runs/{told.run_id}/resume", lambda answer: answer.status in (200, 409))
                    continue
                told.ended = view["status"]
        await asyncio.gather(*self._asides)
        return told

    async def _create(self) -> None:
        body: dict[str, Any] = {"goal": self.told.goal, "review_plan": self.told.kind == "reviewed"}
        headers = {"Idempotency-Key": self.told.key}
        answer = await self._asked("POST", "/runs", lambda answer: answer.status in (200, 202), body, headers)
        self.told.run_id = answer.json()["run_id"]

    async def _follow(self) -> None:
        """One stream, until it ends or breaks; now and then it is left in the middle."""
        told = self.told
        try:
            async for frame in follow(self._port(), told.run_id, max(told.frames, default=0), _QUIET_S):
                self._take(frame)
                if self._cut and self._chance.random() < 0.05:
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
                self._aside(self._look(asked["key"]))

    async def _decide(self, approval_id: str) -> None:
        """Two reviewers at once, of two minds: only one may be heard."""
        await asyncio.sleep(self._chance.uniform(0, 0.3))
        minds = ["approve", "reject"] if self._chance.random() < 0.3 else ["approve"]
        await asyncio.gather(*(self._say(approval_id, decision) for decision in minds))

    async def _look(self, key: str) -> None:
        """As a person does: looks in the world outside whether it happened, and says so."""
        await asyncio.sleep(self._chance.uniform(0, 0.3))
        happened = (await self._wire.ask(act="check", key=key))["happened"]
        decision = "happened" if happened else self._chance.choice(["did_not", "retry"])
        path = f"/runs/{self.told.run_id}/effects/{key}"
        await self._asked("POST", path, lambda answer: answer.status in (200, 409), {"decision": decision})
        self.told.looked += 1

    async def _say(self, approval_id: str, decision: str) -> None:
        body = {"approval_id": approval_id, "decision": decision, "by": "chaos"}
        path = f"/runs/{self.told.run_id}/approve"
        answer = await self._asked("POST", path, lambda answer: answer.status in (200, 409), body)
        if answer.status == 200:
            self.told.decided.append((approval_id, decision))

    async def _cancel(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        self.told.cancelled = True  # from here on: an answer may be lost
        await self._asked("POST", f"/runs/{self.told.run_id}/cancel", lambda answer: answer.status in (200, 409))

    async def _asked(
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
        return self._chance.choice(self._ports)

    def _aside(self, work: Any) -> None:
        self._asides.add(asyncio.create_task(work))


_GOALS = {"offline": "What is 17 times 23? I prefer metric units in run"}
