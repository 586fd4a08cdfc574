"""The agent's messages as LangGraph's older streams tell them: in chunks, and as far as they are known."""

from collections.abc import Iterator
from typing import Any, Final

from serving.api.sdk.growing import Arguments, Call, Called, Grown, Reply, Words

Message = dict[str, Any]
_MESSAGE: Final[Message] = {"additional_kwargs": {}, "response_metadata": {}, "name": None}
# As models end what they stream: AG-UI's clients wait for it.
_LAST: Final[Message] = {"response_metadata": {"finish_reason": "stop"}, "chunk_position": "last"}
# Those for which it must be known what a reader has been told.
EVENTS: Final = frozenset({"messages", "messages/metadata", "messages/partial", "messages/complete"})


def human(id_: str, text: str) -> Message:
    return {**_MESSAGE, "type": "human", "content": text, "id": id_}


def ai(id_: str, text: str, calls: tuple[Message, ...] = ()) -> Message:
    own: Message = {"tool_calls": list(calls), "invalid_tool_calls": [], "usage_metadata": None}
    return {**_MESSAGE, "type": "ai", "content": text, "id": id_, **own}


def answer_id(run_id: str, again: int = 0) -> str:
    """One that is begun anew is another message: clients put chunks of the same one behind each other."""
    return f"answer-{run_id}" + (f"-{again + 1}" if again else "")


def reply_id(run_id: str, reply: Reply) -> str:
    return f"call-{run_id}-{reply.seq}"


def told(grown: Grown, run_id: str, metadata: Message) -> Iterator[tuple[str, Any]]:
    """(event, data) in each of the modes; `metadata` is the run's."""
    match grown:
        case Words():
            id_, about = answer_id(run_id, grown.again), {**metadata, "langgraph_node": "answer"}
            chunk, whole = ai(id_, grown.more) | (_LAST if grown.last else {}), ai(id_, grown.whole)
        case Arguments(reply=reply):
            id_, about = reply_id(run_id, reply), {**metadata, "langgraph_node": "work", "step_id": reply.step_id}
            chunk = {**ai(id_, ""), "tool_call_chunks": [_chunk(reply.calls[grown.index], grown)]}
            whole = _calling(id_, reply)
        case Called(reply=reply):
            yield "messages/complete", [_calling(reply_id(run_id, reply), reply)]
            return
    if grown.first:
        yield "messages/metadata", {id_: {"metadata": about}}
    if not (isinstance(grown, Words) and not grown.more):
        yield "messages/partial", [whole]
    yield "messages", [{**chunk, "type": "AIMessageChunk"}, about]


def _calling(id_: str, reply: Reply) -> Message:
    return ai(id_, "", tuple(call.shown() for call in reply.calls))


def _chunk(call: Call, grown: Arguments) -> Message:
    """As LangChain's models stream it: name and id with the first piece."""
    begins = call.text == grown.more
    named = {"name": call.name if begins else None, "id": call.id if begins else None}
    return {**named, "args": grown.more, "index": grown.index, "type": "tool_call_chunk"}
