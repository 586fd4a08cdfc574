"""Chats with hosted graphs: what a person says begins a run, or answers what the graph asks them."""

from collections.abc import Sequence

from serving.api.openai.asking import Asking
from serving.api.openai.hosted import launch, messages_of
from serving.api.openai.hosted_answers import asker_of, replied
from serving.api.openai.messages import ChatMessage, last_said
from serving.api.openai.turn import Turn
from serving.services import ApiServices


async def take_chat(
    services: ApiServices, body: Asking, sent: Sequence[ChatMessage], header: str, base: str, key: str | None
) -> Turn:
    """`header`: X-Thread-Id. Words that decide nothing of what is asked begin a run, as others do.

    Raises BadRequest, and what `launch` does."""
    thread = header or body.named("thread_id") or None
    given = messages_of(sent, thread)
    asker = await asker_of(services, body.model, sent)
    if asker and (turn := await replied(services, asker, sent[last_said(sent)].text, body, base, key)):
        return turn
    return await launch(services, body.model, given, thread, body.metadata, base, key)
