"""Responses of hosted graphs: each begins with the state that the one before it left behind."""

import hashlib
from typing import Any, Final

from serving.api.openai.asking import Asking
from serving.api.openai.hosted import HostedTelling, Messages, launch, messages_of
from serving.api.openai.hosted_answers import asker_of, replied, taken, waiting_on
from serving.api.openai.items import APPROVAL, Input
from serving.api.openai.messages import last_said
from serving.api.openai.parts import as_input
from serving.api.openai.previous import previous, state_behind
from serving.api.openai.questions import answers_in, resume_of
from serving.api.openai.turn import Turn
from serving.database import Row
from serving.errors import BadRequest, Conflict
from serving.runs.requests.launch import RunCommand
from serving.runs.requests.limits import parse_id
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
    messages, before = messages_of(given.messages, thread), kept.previous_response_id
    row = await previous(services, before, body.model) if before else None
    asker = row or await asker_of(services, body.model, given.messages)
    words = given.messages[last_said(given.messages)].text
    if asker and (turn := await replied(services, asker, words, body, base, key)):
        return turn
    if row:
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
        asked={"kept": kept.model_dump(exclude_defaults=True)},
    )


async def _answered(services: ApiServices, body: Asking, given: Input, base: str, key: str | None) -> Turn:
    """The thread goes on from where it asks. Whoever answers the same again has the same run, even if it has ended,
    unless that came to nothing and the question still waits."""
    kept = body.kept()
    if (before := kept.previous_response_id) is None:
        row = await asker_of(services, body.model, given.messages)
    else:
        row = None if given.messages else await previous(services, before, body.model)
    if row is None:
        hint = "name the response that asked, or send its message too; what else there is to say, behind its answer"
        raise BadRequest("an mcp_approval_response needs `previous_response_id` and no message", hint, "bad_request")
    thread = str(row["thread_id"])
    ids = " ".join(sorted(str(decision.approval_id) for decision in given.decisions))
    key, taker = await taken(services, str(row["run_id"]), hashlib.sha256(ids.encode()).hexdigest(), key)
    try:
        resume = resume_of(given.decisions, await waiting_on(services, thread))
    except Conflict:
        if taker is None or not _says(taker, given):
            raise
        return Turn(await services.runs.get(str(taker["run_id"])), 0, base, HostedTelling)
    asked = {"kept": kept.model_dump(exclude_defaults=True)}
    return await launch(services, body.model, RunCommand(resume=resume), thread, body.metadata, base, key, asked=asked)


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
            content = as_input(message["content"], kind)
            item = {"id": f"msg_{number}_in{at}", "type": "message", "status": "completed"}
            items.append({**item, "role": message["role"], "content": content})
    return items


def _system(instructions: str | None) -> Messages:
    return [{"role": "system", "content": instructions, "id": _INSTRUCTIONS}] if instructions else []
