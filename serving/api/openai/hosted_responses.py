"""Responses of hosted graphs: each begins with the state that the one before it left behind."""

from typing import Any, Final

from serving.api.openai.asking import Asking
from serving.api.openai.hosted import Messages, launch, messages_of
from serving.api.openai.items import Input
from serving.api.openai.previous import previous, state_behind
from serving.api.openai.turn import Turn
from serving.database import Row
from serving.errors import BadRequest
from serving.runs.limits import parse_id
from serving.services import ApiServices

_INSTRUCTIONS: Final = "instructions"  # a message with the id of one that is there takes its place


async def take_hosted(
    services: ApiServices, body: Asking, given: Input, base: str, header: str, key: str | None
) -> Turn:
    """`header`: X-Thread-Id. Raises BadRequest, and what `launch` does."""
    if given.decision:
        hint = "answer with the LangGraph SDK: runs.create(thread, graph, command={'resume': ...})"
        raise BadRequest("a graph's question can't be answered with an mcp_approval_response", hint, "unsupported")
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


def items_of(row: Row) -> list[dict[str, Any]]:
    """What the run was given, as the items of its input."""
    number, items = str(row["run_id"]).replace("-", ""), []
    for at, message in enumerate(row["launch"]["input"]["messages"]):
        if message.get("id") != _INSTRUCTIONS:
            kind = "output_text" if message["role"] == "assistant" else "input_text"
            content = [{"type": kind, "text": message["content"]}]
            item = {"id": f"msg_{number}_in{at}", "type": "message", "status": "completed"}
            items.append({**item, "role": message["role"], "content": content})
    return items


def _system(instructions: str | None) -> Messages:
    return [{"role": "system", "content": instructions, "id": _INSTRUCTIONS}] if instructions else []
