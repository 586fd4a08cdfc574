"""The input of a response: text, or items; of these messages and answers to approval requests are read."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from graph.ports import ApprovalDecision
from serving.api.openai.messages import ChatMessage, Conversation, conversation_of
from serving.errors import BadRequest

APPROVAL: Final = "mcpr_"
LABEL: Final = "trireme"
# What a client sends back of earlier outputs says nothing new.
_ECHOED: Final = frozenset(
    {"reasoning", "mcp_approval_request", "item_reference", "function_call", "function_call_output"}
)


@dataclass(frozen=True, slots=True)
class Input:
    """Without `messages` where only decisions were sent."""

    messages: tuple[ChatMessage, ...]
    decisions: tuple[ApprovalDecision, ...] = ()

    @property
    def said(self) -> Conversation:
        """A decision stands there as a reply. Raises BadRequest where nobody said anything, or something else than
        words."""
        reply = [ChatMessage(role="user", content="approve")] if self.decisions else []
        return conversation_of([*self.messages, *reply])


def knows_requests(tools: Any) -> bool:
    """Whether a client that offers `tools` can be sent an mcp_approval_request: not where it lists them without the
    server that asks. OpenAI's Agents SDK then ends in an error."""
    ours = {"type": "mcp", "server_label": LABEL}
    return not isinstance(tools, list) or any(isinstance(each, dict) and ours.items() <= each.items() for each in tools)


def input_of(value: str | list[dict[str, Any]], *, whole: bool = False) -> Input:
    """`whole`: all of a conversation is sent, in which what was said last is behind what was decided before.

    Raises BadRequest for items of other types."""
    if isinstance(value, str):
        return Input((ChatMessage(role="user", content=value),))
    decisions, messages = list[ApprovalDecision](), list[ChatMessage]()
    for item in value:
        kind = item.get("type", "message")
        if kind == "message":
            messages.append(_message(item))
            if whole and messages[-1].role in ("user", "assistant"):
                decisions.clear()
        elif kind == "mcp_approval_response":
            decisions.append(_decision(item))
        elif kind not in _ECHOED:
            hint = "send messages, or mcp_approval_response"
            raise BadRequest(f"an input item of type {str(kind)[:40]!r} can't be used", hint, "unsupported_content")
    if len({decision.approval_id for decision in decisions}) < len(decisions):
        raise BadRequest("two mcp_approval_response items answer the same request", "send one of them", "bad_request")
    if decisions and not any(message.role == "user" for message in messages):
        messages = []
    return Input(tuple(messages), tuple(decisions))


def _message(item: dict[str, Any]) -> ChatMessage:
    try:
        return ChatMessage.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"][:2]))
        raise BadRequest(f"input: {where}: {first['msg'].lower()}", "", "invalid_request") from None


def _decision(item: dict[str, Any]) -> ApprovalDecision:
    asked, yes = item.get("approval_request_id"), item.get("approve")
    if not isinstance(asked, str) or not isinstance(yes, bool):
        raise BadRequest("an mcp_approval_response needs approval_request_id and approve", "", "invalid_request")
    reason = str(item.get("reason") or "")[:2_000]
    id_ = asked.removeprefix(APPROVAL)
    return ApprovalDecision(type="approve" if yes else "reject", reason=reason, by="api", approval_id=id_)
