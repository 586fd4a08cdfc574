"""The agent's messages as the protocol tells them: begun, grown block by block, finished.

The answer is the run's own; what a step's worker calls is told in the step's namespace, so that who reads the talk is
told the answer alone.
"""

from collections.abc import Iterator
from typing import Any, Final

from serving.api.sdk.agent_messages import answer_id, reply_id
from serving.api.sdk.growing import Arguments, Called, Grown, Reply, Words
from serving.api.thread_streams.framing import Told, told
from serving.api.thread_streams.subscription import Namespace

_CUT_OFF: Final = {"message": "the attempt that began it was cut off; another one tells it anew", "code": "cut_off"}


def grows(grown: Grown, run_id: str) -> Iterator[Told]:
    match grown:
        case Words():
            yield from _answer(grown, answer_id(run_id))
        case Arguments():
            yield from _call(grown, run_id)
        case Called(reply=reply):
            yield from _called(reply, reply_id(run_id, reply))


def written(run_id: str, text: str) -> Iterator[Told]:
    """The end of the answer."""
    yield _event("content-block-finish", answer_id(run_id), index=0, content={"type": "text", "text": text})
    yield _event("message-finish", answer_id(run_id))


def _answer(words: Words, id_: str) -> Iterator[Told]:
    """One that is begun anew keeps its id, for clients take the message that the values hold for it."""
    if words.first:
        if words.again:
            yield _event("error", id_, (), **_CUT_OFF)
        yield _event("message-start", id_, role="ai", metadata={"langgraph_node": "answer"})
        yield _event("content-block-start", id_, index=0, content={"type": "text", "text": ""})
    if words.more:
        yield _event("content-block-delta", id_, index=0, delta={"type": "text-delta", "text": words.more})


def _call(grown: Arguments, run_id: str) -> Iterator[Told]:
    reply, call = grown.reply, grown.reply.calls[grown.index]
    id_, namespace = reply_id(run_id, reply), _namespace(reply)
    if grown.broken:
        yield _event("error", reply_id(run_id, grown.broken), namespace, **_CUT_OFF)
    if grown.first:
        yield _event("message-start", id_, namespace, role="ai", metadata={"langgraph_node": "work"})
    if call.text == grown.more:
        begun = {"type": "tool_call_chunk", "id": call.id, "name": call.name, "args": "", "index": grown.index}
        yield _event("content-block-start", id_, namespace, index=grown.index, content=begun)
    delta = {"type": "tool-call-delta", "args": grown.more}
    yield _event("content-block-delta", id_, namespace, index=grown.index, delta=delta)


def _called(reply: Reply, id_: str) -> Iterator[Told]:
    namespace = _namespace(reply)
    for index, call in enumerate(reply.calls):
        yield _event("content-block-finish", id_, namespace, index=index, content=call.shown())
    yield _event("message-finish", id_, namespace)


def _namespace(reply: Reply) -> Namespace:
    """By its name, JavaScript's pages know the work of a subagent from the talk."""
    return (f"task:{reply.step_id}-{reply.attempt}",)


def _event(event: str, id_: str, namespace: Namespace = (), **more: Any) -> Told:
    return told("messages", namespace, {"event": event, "id": id_, **more})
