"""What a graph's state is, as a JSON schema."""

from typing import Annotated, NotRequired, TypedDict

from langgraph.graph import START, StateGraph

from serving.hosting.describe import schemas


class State(TypedDict):
    """As agents of langchain with middleware have it."""

    todos: Annotated[NotRequired[list[str]], "said of it"]
    _private: NotRequired[int]


def stay(state: State) -> State:
    return state


def test_a_state_is_told_whole_whatever_its_keys_are_called_and_whether_they_must_be_there() -> None:
    graph = StateGraph(State).add_node("stay", stay).add_edge(START, "stay").compile()
    told = schemas("list", graph)["state_schema"]["properties"]
    assert {name: field["type"] for name, field in told.items()} == {"todos": "array", "_private": "integer"}
