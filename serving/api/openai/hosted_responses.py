"""Responses of hosted graphs: each begins with the state that the one before it left behind."""

import hashlib
from contextlib import suppress
from typing import Any, Final

from serving.api.openai.asking import Asking
from serving.api.openai.hosted import HostedTelling, Messages, launch, messages_of
from serving.api.openai.items import APPROVAL, Input
from serving.api.openai.previous import previous, state_behind
from serving.api.openai.questions import answers_in, resume_of
from serving.api.openai.turn import Turn
from serving.database import Row
from serving.errors import BadRequest, Conflict, NotFound
from serving.runs.launch import RunCommand
from serving.runs.limits import parse_id
from serving.services import ApiServices

_INSTRUCTIONS: Final = "instructions"  # a message with the id of one that is there takes its place
_IN_VAIN: Final = frozenset({"error", "timeout", "cancelled"})


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
    """The thread goes on from where it asks. Whoever answers the same again has the same run, even if it has ended,
    unless that came to nothing and the question still waits."""
    kept = body.kept()
    if kept.previous_response_id is None or given.messages:
        hint = "name the response that asked, and send what else there is to say behind its answer"
        raise BadRequest("an mcp_approval_response needs `previous_response_id` and no message", hint, "bad_request")
    row = await previous(services, kept.previous_response_id, body.model)
    thread = str(row["thread_id"])
    waiting = (await services.threads.get(thread))["interrupts"] or {}
    key, taker = await _taken(services, str(row["run_id"]), given, key)
    try:
        resume = resume_of(given.decisions, [each for of_task in waiting.values() for each in of_task])
    except Conflict:
        if taker is None or not _says(taker, given):
            raise
        return Turn(await services.runs.get(str(taker["run_id"])), 0, base, HostedTelling)
    asked = {"kept": kept.model_dump()}
    return await launch(services, body.model, RunCommand(resume=resume), thread, body.metadata, base, key, asked=asked)


async def _taken(services: ApiServices, asker: str, given: Input, key: str | None) -> tuple[str, Row | None]:
    """The key under which these questions of `asker` are answered, and the last run that took an answer. What a run
    that came to nothing took can be answered again, with another key, if it is asked still."""
    if key is not None:
        return key, await _run_of(services, key)
    ids = " ".join(sorted(str(decision.approval_id) for decision in given.decisions))
    digest, taker = hashlib.sha256(ids.encode()).hexdigest(), None
    while run := await _run_of(services, made := f"answer-to-{asker}-{digest}"):
        taker, asker = run, str(run["run_id"])
        if run["status"] not in _IN_VAIN:
            break
    return made, taker


async def _run_of(services: ApiServices, key: str) -> Row | None:
    """The run that this key has made; None also where it is about to."""
    run_id = await services.idempotency.made("run", key)
    with suppress(NotFound):
        return await services.launches.get(None, run_id) if run_id else None
    return None


def _says(row: Row, given: Input) -> bool:
    """Whether the run was given the same decisions."""
    command = row["launch"].get("command") or {}
    said = {
        decision.approval_id: {"approve": decision.type == "approve", "reason": decision.reason or None}
        for decision in given.decisions
    }
    return dict(answers_in(command.get("resume") or {})) == said


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
