"""A graph that tells whom it works for, made by a factory that needs to know; and one that asks."""

import asyncio
from typing import Any

from langgraph.config import get_config
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from langgraph_sdk.runtime import ServerRuntime
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    said: str
    seen: dict[str, Any]


def graph(runtime: ServerRuntime[Any]) -> StateGraph[State]:
    made_for = runtime.ensure_user().identity

    async def look(state: State, runtime: Runtime[Any]) -> State:
        await asyncio.sleep(1 if state.get("said") == "linger" else 0)
        told = get_config()["configurable"]
        user, info = told["langgraph_auth_user"], runtime.server_info
        seen = {"made_for": made_for, "id": told["langgraph_auth_user_id"], "may": told["langgraph_auth_permissions"]}
        assert info is not None
        assert info.user is not None
        named = {"attribute": user.identity, "item": user["identity"], "info": info.user.identity}
        return {"seen": {**seen, **named, "berth": user.get("berth"), "forged": told.get("forged")}}

    builder = StateGraph(State)
    builder.add_node("look", look)
    builder.add_edge(START, "look")
    return builder


def _ask(state: State) -> State:
    return {"said": interrupt("where to?")}


asking = StateGraph(State)
asking.add_node("ask", _ask)
asking.add_edge(START, "ask")
