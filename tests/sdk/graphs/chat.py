"""A chat agent with tools, one of which a person must agree to; compiled, in a file."""

import os
from typing import Any

from langchain_core.messages import SystemMessage
from langchain_core.tools import tool
from langgraph.config import get_config, get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, ToolRuntime, tools_condition
from langgraph.runtime import Runtime
from langgraph.stream import ProtocolEvent, StreamChannel, StreamTransformer
from langgraph.types import interrupt
from sailor import Sailor  # type: ignore[import-not-found]
from typing_extensions import TypedDict


class Context(TypedDict, total=False):
    """What a caller may say about itself."""

    captain: str


class Answered(TypedDict, total=False):
    greeting: str
    rank: str


class State(MessagesState):
    greeting: str
    rank: str


@tool
def weather(city: str, runtime: ToolRuntime) -> str:
    """What the weather is like in a city."""
    get_stream_writer()({"looking_at": city})
    runtime.emit_output_delta("it is")
    return f"it is sunny in {city}"


@tool
def send_mail(to: str) -> str:
    """Sends a mail, once a person has agreed."""
    request: dict[str, Any] = {
        "action_requests": [{"name": "send_mail", "args": {"to": to}, "description": f"a mail to {to}"}],
        "review_configs": [{"action_name": "send_mail", "allowed_decisions": ["approve", "reject"]}],
    }
    answer = interrupt(request)
    agreed = answer["decisions"][0]["type"] == "approve"
    return f"the mail to {to} was sent" if agreed else f"the mail to {to} was not sent"


class Sightings(StreamTransformer):
    """An extension of the stream: the cities that were looked at, by name."""

    required_stream_modes = ("custom",)

    def init(self) -> dict[str, Any]:
        self._seen: StreamChannel[dict[str, str]] = StreamChannel("sightings")
        return {"sightings": self._seen}

    def process(self, event: ProtocolEvent) -> bool:
        if event["method"] == "custom" and (city := event["params"]["data"].get("looking_at")):
            self._seen.push({"city": city.upper()})
        return True


async def greet(state: State, runtime: Runtime[Context]) -> Answered:
    captain = (runtime.context or {}).get("captain", "nobody")
    rank = get_config()["configurable"].get("rank", "none")
    return {"greeting": f"{os.environ.get('HOSTED_GREETING', 'Hello')}, {captain}", "rank": rank}


async def agent(state: State) -> MessagesState:
    heard = [SystemMessage("You are a sailor"), *state["messages"]]
    reply = await Sailor().bind_tools([weather, send_mail]).ainvoke(heard)
    return {"messages": [reply]}


_builder = StateGraph(State, context_schema=Context)
_builder.add_node("greet", greet)
_builder.add_node("agent", agent)
_builder.add_node("tools", ToolNode([weather, send_mail]))
_builder.add_edge(START, "greet")
_builder.add_edge("greet", "agent")
_builder.add_conditional_edges("agent", tools_condition)
_builder.add_edge("tools", "agent")
graph = _builder.compile(transformers=[Sightings])
