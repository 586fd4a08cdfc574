"""A graph whose one node is the chat agent, which a condition leads to."""

from chat import graph as chat  # type: ignore[import-not-found]
from langgraph.graph import START, MessagesState, StateGraph


def whither(state: MessagesState) -> str:
    return "sailor"


graph = (
    StateGraph(MessagesState)
    .add_node("sailor", chat)
    .add_conditional_edges(START, whither, {"sailor": "sailor"})
    .compile()
)
