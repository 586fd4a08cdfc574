"""What a request becomes: a new run, or the one on its thread that waits for a person; and how that run is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from starlette.requests import Request

from graph.ports import ApprovalDecision
from graph.profile import Profile
from serving.api.admission import step_aside
from serving.api.openai.asking import Asking
from serving.api.openai.messages import Conversation
from serving.api.openai.place import Place
from serving.api.openai.questions import Question
from serving.api.openai.telling import Declined, Part, Teller, Telling, Words
from serving.api.openai.waiting import asked_by, reply_of
from serving.api.reader import HEARTBEAT
from serving.api.runs import hung_up
from serving.runs.view import TERMINAL, RunView, UsageView
from serving.services import ApiServices

_LONGEST_WAIT_S: Final = 600.0
Left: TypeAlias = Callable[[], None] | None  # what follows when the caller hangs up before the end


@dataclass(frozen=True, slots=True)
class Turn:
    """A run to be told from behind line `after` of its log. `base`: the server's address, with a slash at its end.
    `ends`: who asked began it in a chat, so that it may end when they hang up; others may wait for it elsewhere."""

    run: RunView
    after: int
    base: str
    teller: Callable[[Profile], Teller] = Telling
    ends: bool = True

    @property
    def address(self) -> str:
        return f"{self.base}runs/{self.run.run_id}"


@dataclass(frozen=True, slots=True)
class End:
    """How the run stands when nothing more is told: `status` is its own; `approvals` wait for a person."""

    status: str
    usage: UsageView
    citations: list[dict[str, Any]]
    code: str = ""
    message: str = ""
    approvals: tuple[Question, ...] = ()


async def take(
    services: ApiServices, asking: Asking, said: Conversation, place: Place, base: str, key: str | None
) -> Turn:
    """Raises what the run service does: BadRequest, NotFound, Conflict, TooLarge."""
    if place.parked:
        reply = reply_of(said.goal)
        return await answered(services, place.parked, (reply,) if reply else (), base)
    request = await services.redacted(asking.request(said, place.thread_id, begun=place.begun))
    kept = await asyncio.to_thread(services.redactor.redact_json, asking.kept().model_dump(exclude_defaults=True))
    run, _ = await services.runs.create(request, key, {"conversation": place.mark, "kept": kept})
    return Turn(run, 0, base)


async def answered(
    services: ApiServices, run_id: str, decisions: Sequence[ApprovalDecision], base: str, *, typed: bool = False
) -> Turn:
    """The parked run goes on, by decisions that are `typed` as such, or by a reply where its channel takes that for
    one; else its question is told again. Where nobody asks for one of them, none is taken."""
    run = await services.runs.get(run_id)
    if not decisions or not run.approvals or not (typed or run.profile.approval == "reply"):
        return Turn(run, run.last_seq - 1, base, ends=False)
    waiting = [approval.approval_id for approval in run.approvals]
    named = {decision.approval_id or waiting[0]: decision for decision in decisions}
    for approval_id in sorted(named, key=waiting.__contains__):
        reason = await services.redact(named[approval_id].reason)
        said = {"approval_id": approval_id, "reason": reason, "by": services.named(named[approval_id].by)}
        await services.decisions.decide(run_id, approval_id, named[approval_id].model_copy(update=said))
    kept = ((await services.runs.row(run_id))["asked"] or {}).get("kept", {"background": True})
    return Turn(run, run.last_seq, base, ends=not kept.get("background", False))


async def told(services: ApiServices, turn: Turn) -> AsyncIterator[Part | End | None]:
    """Parts as they come, then one End; None when nothing came for a while. The run goes on when nobody listens."""
    telling, status = turn.teller(turn.run.profile), turn.run.status
    async for page in services.tails.follow(turn.run.run_id, turn.after):
        if page is None:
            yield None
            continue
        status = page.status
        for row in page.lines:
            for part in telling.line(row["kind"], await services.line(row["kind"], row["body"])):
                yield part
        if status == "interrupted" and page.last == page.last_seq:
            break
    async for last in ending(services, turn, telling, status):
        yield last


def left_by(services: ApiServices, turn: Turn, *, goes_on: bool) -> Left:
    """`goes_on`: the caller wants the run to, or can find it again."""
    return partial(services.launches.cancel_soon, turn.run.run_id) if turn.ends and not goes_on else None


async def streamed(
    services: ApiServices, turn: Turn, begin: bytes, framed: Callable[[Part | End], bytes], left: Left = None
) -> AsyncIterator[bytes]:
    """What `told` tells, behind `begin`, as bytes of a stream."""
    over = False
    try:
        yield begin
        async for part in told(services, turn):
            over = isinstance(part, End)
            yield HEARTBEAT if part is None else framed(part)
    except (asyncio.CancelledError, GeneratorExit):
        if left and not over:
            left()
        raise


async def told_whole(
    services: ApiServices, request: Request, turn: Turn, add: Callable[[Part], None], left: Left = None
) -> End:
    """For a caller who waits; that of a run under way when that one has `left`, or has waited for ten minutes."""
    under_way = End("running", UsageView(), [])

    async def listen() -> End:
        async for part in told(services, turn):
            if isinstance(part, End):
                return part
            if part:
                add(part)
        return under_way

    step_aside(request)
    listening, gone = asyncio.create_task(listen()), asyncio.create_task(hung_up(request))
    try:
        await asyncio.wait({listening, gone}, timeout=_LONGEST_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        if left and gone.done() and not listening.done():
            left()
        return listening.result() if listening.done() else under_way
    finally:
        listening.cancel()
        gone.cancel()


async def told_so_far(services: ApiServices, turn: Turn) -> AsyncIterator[Part | End]:
    """The same for whoever doesn't wait."""
    telling = turn.teller(turn.run.profile)
    own = (await services.runs.history(turn.run.run_id)).own
    bodies = [event.body.model_dump(mode="json") for event in own]
    for body in await services.restored_lines(bodies) if turn.teller is Telling else bodies:
        for part in telling.line(body["kind"], body):
            yield part
    async for last in ending(services, turn, telling, turn.run.status):
        yield last


async def ending(services: ApiServices, turn: Turn, telling: Teller, status: str) -> AsyncIterator[Part | End]:
    code, message = telling.failure if status in TERMINAL else ("", "")
    approvals = telling.questions
    if asked := telling.waiting(turn.address):
        yield Words(asked)
    elif status == "interrupted":
        view = RunView.model_validate(await services.shown(await services.runs.get(turn.run.run_id)))
        approvals = tuple(Question(each.approval_id, each.name, each.arguments) for each in view.approvals)
        asked = asked_by(view, turn.address)
        yield Declined(asked) if turn.run.form else Words(asked)
    elif status == "success" and turn.run.profile.artifacts == "link" and not turn.run.form:
        names = (await services.runs.row(turn.run.run_id))["artifacts"]
        if names:
            links = [f"- [{name}]({turn.address}/artifacts/{quote(name)})" for name in await services.restore(names)]
            yield Words("\n\nFiles:\n" + "\n".join(links))
    yield End(status, telling.usage, telling.citations, code, message, approvals)
