"""Responses of hosted graphs: each begins with the state that the one before it left behind."""

import hashlib
from typing import Any, Final

from serving.api.openai.asking import Asking
from serving.api.openai.hosted import HostedTelling, Messages, launch, messages_of
from serving.api.openai.items import APPROVAL, Input
from serving.api.openai.previous import previous, state_behind
from serving.api.openai.questions import answers_in, resume_of
from serving.api.openai.turn import Turn
from serving.database import Row
from serving.errors import BadRequest, Conflict
from serving.runs.launch import RunCommand
from serving.runs.limits import parse_id
from serving.services import ApiServices

_INSTRUCTIONS: Final = "instructions"  # a message with the id of one that is there takes its place


async def take_hosted(
    services: ApiServices, body: Asking, given: Input, base: str, header: str, key: str | None
) -> Turn:
    """`header`: X-Thread-Id. Raises BadRequest, and what `launch` does."""
    if given.decisions:
        return await _answered(services, body, given, base, key)
    kept, named, checkpoint = body.kept(), header or body.named("thread_id"), None
    thread = parse_id(named, "thread") if named else None
    messages = messages_of(given.messages, thread)
    if kept.previous_response_id is not None:
        row = await previous(services, kept.previous_response_id, body.model)
        thread, checkpoint = str(row["thread_id"]), await state_behind(services, row)
        messages = messages_of(given.messages, None)
    return await launch(
        services,
        body.model,
        [*_system(kept.instructions), *messages],
        thread,
        body.metadata,
        base,
        key,
        checkpoint_id=checkpoint,
        asked={"kept": kept.model_dump()},
    )


async def _answered(services: ApiServices, body: Asking, given: Input, base: str, key: str | None) -> Turn:
    """The thread goes on from where it asks. Whoever answers the same again has the same run, even if it has ended."""
    kept = body.kept()
    if kept.previous_response_id is None or given.messages:
        hint = "name the response that asked, and send what else there is to say behind its answer"
        raise BadRequest("an mcp_approval_response needs `previous_response_id` and no message", hint, "bad_request")
    row = await previous(services, kept.previous_response_id, body.model)
    thread = str(row["thread_id"])
    waiting = (await services.threads.get(thread))["interrupts"] or {}
    ids = " ".join(sorted(str(decision.approval_id) for decision in given.decisions))
    key = key or f"answer-to-{row['run_id']}-{hashlib.sha256(ids.encode()).hexdigest()}"
    try:
        resume = resume_of(given.decisions, [each for of_task in waiting.values() for each in of_task])
    except Conflict:
        if (run_id := await _answer_of(services, key, given)) is None:
            raise
        return Turn(await services.runs.get(run_id), 0, base, HostedTelling)
    asked = {"kept": kept.model_dump()}
    return await launch(services, body.model, RunCommand(resume=resume), thread, body.metadata, base, key, asked=asked)


async def _answer_of(services: ApiServices, key: str, given: Input) -> str | None:
    """The run that this key has made with the same decisions."""
    run_id = await services.idempotency.made("run", key)
    if run_id is None:
        return None
    command = (await services.launches.get(None, run_id))["launch"].get("command") or {}
    said = {
        decision.approval_id: {"approve": decision.type == "approve", "reason": decision.reason or None}
        for decision in given.decisions
    }
    return run_id if dict(answers_in(command.get("resume") or {})) == said else None


def items_of(row: Row) -> list[dict[str, Any]]:
    """What the run was given, as the items of its input."""
    number, items = str(row["run_id"]).replace("-", ""), list[dict[str, Any]]()
    if command := row["launch"].get("command"):
        kind = "mcp_approval_response"
        return [
            {"id": f"mcpa_{number}_in{at}", "type": kind, "approval_request_id": APPROVAL + id_, **said}
            for at, (id_, said) in enumerate(answers_in(command["resume"]))
        ]
    for at, message in enumerate(row["launch"]["input"]["messages"]):
        if message.get("id") != _INSTRUCTIONS:
            kind = "output_text" if message["role"] == "assistant" else "input_text"
            content = [{"type": kind, "text": message["content"]}]
            item = {"id": f"msg_{number}_in{at}", "type": "message", "status": "completed"}
            items.append({**item, "role": message["role"], "content": content})
    return items


def _system(instructions: str | None) -> Messages:
    return [{"role": "system", "content": instructions, "id": _INSTRUCTIONS}] if instructions else []
