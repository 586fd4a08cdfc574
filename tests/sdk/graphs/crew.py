"""A graph whose one node is the chat agent."""

from chat import graph as chat  # type: ignore[import-not-found]
from langgraph.graph import START, MessagesState, StateGraph

graph = StateGraph(MessagesState).add_node("sailor", chat).add_edge(START, "sailor").compile()
