"""One turn of a model: the prompt is assembled, the budget asked, the model called, the reply written to the log."""

import asyncio
import time
from dataclasses import replace

from pydantic import BaseModel

from graph.errors import BadReply, BoundReached
from graph.events import BoundReached as BoundReachedEvent
from graph.events import ModelCalled, ModelFailed
from graph.ports import Deps, ModelCall, ModelReply, OnText, StepTask, Task
from graph.prefix import assemble, prompt_version
from graph.transcript import StepTranscript


async def take_turn(
    deps: Deps,
    task: Task,
    *,
    reply: type[BaseModel] | None = None,
    attempt: int = 1,
    on_text: OnText | None = None,
) -> ModelReply:
    """Calls the model for `task` and logs its reply. Raises BoundReached, ModelUnavailable, ModelRefused, BadReply."""
    call = await _call(deps, task, reply, attempt)
    started = time.perf_counter()
    with deps.budget.model_call(deps.models.estimate(call)):
        seconds = deps.budget.seconds_left()
        try:
            async with asyncio.timeout(seconds):
                answer = await deps.models.complete(call, on_text)
        except TimeoutError:
            raise BoundReached("seconds", deps.budget.bounds.seconds, deps.budget.bounds.seconds) from None
        except BadReply as error:
            await deps.events.append(ModelFailed(role=task.role, code=error.code, **error.usage))
            raise
        answer = _with_new_ids(answer, call)
        await deps.events.append(_logged(task, attempt, answer, time.perf_counter() - started))
    return answer


async def log_bound(deps: Deps, error: BoundReached) -> None:
    """Writes down that a bound was reached, once per bound."""
    known = {event.body.bound for event in deps.events.history if isinstance(event.body, BoundReachedEvent)}
    if error.bound not in known:
        await deps.events.append(BoundReachedEvent(bound=error.bound, limit=error.limit, used=error.used))


async def _call(deps: Deps, task: Task, reply: type[BaseModel] | None, attempt: int) -> ModelCall:
    history = deps.events.history
    step = StepTranscript(history, task.step.id, attempt) if isinstance(task, StepTask) else None
    return ModelCall(
        run_id=deps.run_id,
        thread_id=deps.thread_id,
        task=task,
        messages=assemble(task, history, await deps.documents.overview(), step),
        tools=deps.tools.schemas(),
        transcript=step.messages() if step else (),
        reply=reply,
        allow_tools=step is not None,
        model=deps.model,
    )


def _with_new_ids(answer: ModelReply, call: ModelCall) -> ModelReply:
    """Some servers number tool calls anew in each reply; a result is found by its id, so a used one is replaced."""
    used = {known.id for message in call.transcript for known in message.tool_calls}
    calls = list(answer.tool_calls)
    for index, each in enumerate(calls):
        if each.id in used:
            calls[index] = each.model_copy(update={"id": f"call_{len(used)}"})
        used.add(calls[index].id)
    return replace(answer, tool_calls=tuple(calls))


def _logged(task: Task, attempt: int, answer: ModelReply, seconds: float) -> ModelCalled:
    return ModelCalled(
        role=task.role,
        step_id=task.step.id if isinstance(task, StepTask) else "",
        attempt=attempt,
        model=answer.model,
        text=answer.text,
        tool_calls=tuple(call.model_dump() for call in answer.tool_calls),
        prompt_version=prompt_version(task.role),
        duration_ms=round(seconds * 1000, 1),
        **answer.usage.model_dump(),
    )
