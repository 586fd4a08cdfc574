"""One turn of a model: the prompt is assembled, the budget asked, the model called, the reply written to the log."""

import time
from collections.abc import Callable
from dataclasses import replace

from graph.call_ids import CallIds
from graph.deadline import within
from graph.errors import BadReply, BoundReached, ModelUnavailable, StreamCut
from graph.events import BoundReached as BoundReachedEvent
from graph.events import EventBody, ModelCalled, ModelFailed
from graph.faults import point
from graph.ports import Deps, ModelCall, ModelReply, OnPiece, StepTask, Task, Wanted
from graph.prefix import assemble
from graph.transcript import StepTranscript, bounds_reached

Follows = Callable[[ModelReply], tuple[EventBody, ...]]


async def take_turn(
    deps: Deps,
    task: Task,
    *,
    reply: Wanted | None = None,
    attempt: int = 1,
    on_piece: OnPiece | None = None,
    precedes: Follows = lambda reply: (),
    follows: Follows = lambda reply: (),
) -> ModelReply:
    """Calls the model for `task` and logs its reply. Raises BoundReached, ModelUnavailable, ModelRefused, BadReply.

    `follows` makes what the reply means, logged in the same write: a kill never leaves a reply without its meaning.
    `precedes` makes what has not been told of it yet while it was written.
    """
    call = _call(deps, task, reply, attempt)

    async def turn(on_piece: OnPiece | None) -> ModelReply:
        return await _turn(deps, call, attempt, on_piece, precedes, follows)

    try:
        return await turn(on_piece)
    except StreamCut:
        if not call.allow_tools:
            raise
    # Nobody waits for each word of a tool call, so it is asked for again, whole; what was told of it is replaced.
    return await turn(None)


async def _turn(
    deps: Deps, call: ModelCall, attempt: int, on_piece: OnPiece | None, precedes: Follows, follows: Follows
) -> ModelReply:
    started = time.perf_counter()
    with deps.budget.model_call(deps.models.estimate(call)):
        point("budget.reserved")
        answer = _with_new_ids(await _complete(deps, call, on_piece), call)
        logged = _logged(deps, call.task, attempt, answer, time.perf_counter() - started)
        await deps.events.append(*precedes(answer), logged, *follows(answer))
    point("budget.settled")
    return answer


async def _complete(deps: Deps, call: ModelCall, on_piece: OnPiece | None) -> ModelReply:
    try:
        async with within(deps.budget.seconds_left()) as limit:
            point("model.sent")
            deps.check_lease()
            answer = await deps.models.complete(call, on_piece)
            point("model.answered")
            return answer
    except TimeoutError:
        if limit.expired():
            raise BoundReached("seconds", deps.budget.bounds.seconds, deps.budget.bounds.seconds) from None
        raise ModelUnavailable("the model did not answer in time; try again, or route to another model") from None
    except (BadReply, StreamCut) as error:
        await deps.events.append(ModelFailed(role=call.task.role, code=error.code, **error.usage))
        raise


async def log_bound(deps: Deps, error: BoundReached) -> None:
    """Writes down that a bound was reached, once per bound, whatever the number of steps that run into it."""
    known = {reached.bound for reached in bounds_reached(deps.events.history)}
    if error.bound not in known and deps.budget.announces(error.bound):
        await deps.events.append(BoundReachedEvent(bound=error.bound, limit=error.limit, used=error.used))


def _call(deps: Deps, task: Task, reply: Wanted | None, attempt: int) -> ModelCall:
    history = deps.events.history
    step = StepTranscript(history, task.step.id, attempt) if isinstance(task, StepTask) else None
    return ModelCall(
        run_id=deps.run_id,
        thread_id=deps.thread_id,
        task=task,
        messages=assemble(deps.prompts, task, history, step, deps.form),
        tools=deps.tools.schemas(),
        transcript=step.messages() if step else (),
        reply=reply,
        allow_tools=step is not None,
        model=deps.model,
    )


def _with_new_ids(answer: ModelReply, call: ModelCall) -> ModelReply:
    ids = CallIds(known.id for message in call.transcript for known in message.tool_calls)
    calls = tuple(each.model_copy(update={"id": ids.of(each.id)}) for each in answer.tool_calls)
    return replace(answer, tool_calls=calls)


def _logged(deps: Deps, task: Task, attempt: int, answer: ModelReply, seconds: float) -> ModelCalled:
    return ModelCalled(
        role=task.role,
        step_id=task.step.id if isinstance(task, StepTask) else "",
        attempt=attempt,
        model=answer.model,
        text=answer.text,
        tool_calls=tuple(call.model_dump() for call in answer.tool_calls),
        prompt_version=deps.prompts.version(task.role),
        duration_ms=round(seconds * 1000, 1),
        **answer.usage.model_dump(),
    )
