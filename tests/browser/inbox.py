"""A chat agent that asks a person before it sends a mail, as Agent Inbox and agent-chat-ui know it."""

import re
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt


async def send(state: MessagesState) -> MessagesState:
    found = re.search(r"mail to (\S+)", state["messages"][-1].text)
    if found is None:
        return {"messages": [AIMessage("Nothing to send")]}
    action = {"action": "send_mail", "args": {"to": found[1]}}
    allowed = {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True}
    (answer,) = interrupt([{"action_request": action, "config": allowed, "description": f"A mail to {found[1]}"}])
    return {"messages": [AIMessage(_done(action, answer))]}


def _done(action: dict[str, Any], answer: dict[str, Any]) -> str:
    match answer["type"]:
        case "accept":
            return f"Sent to {action['args']['to']}"
        case "edit":
            return f"Sent to {answer['args']['args']['to']}"
        case "response":
            return f"Not sent: {answer['args']}"
    return "Not sent"


graph = StateGraph(MessagesState).add_node("send", send).add_edge(START, "send").compile()
