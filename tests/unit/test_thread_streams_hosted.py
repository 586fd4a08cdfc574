"""What a hosted graph gives out, as events: what nodes write under a name, and messages that no model wrote."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from serving.api.thread_streams.framing import EventFraming
from serving.api.thread_streams.subscription import Subscription
from serving.hosting.event_parts import EventParts
from serving.hosting.part_log import part_body

CALL = {"name": "weather", "args": {}, "id": "c"}


def told(channel: str, event: str, data: Any) -> list[Any]:
    framing = EventFraming("r", "t", "chat", 1, Subscription(frozenset({channel})), plain=True)
    row = {"seq": 1, "kind": "stream_part", "at": datetime(2026, 1, 1, tzinfo=UTC)}
    lines = framing(row, part_body(event, orjson.dumps(data).decode())).splitlines()
    return [orjson.loads(line)["params"]["data"] for line in lines]


@pytest.mark.parametrize(
    ("written", "data"),
    [
        ({"name": "progress", "step": 1}, {"name": "progress", "step": 1, "payload": {"step": 1}}),
        ({"name": "progress", "payload": [1]}, {"name": "progress", "payload": [1]}),
    ],
)
def test_what_a_node_writes_under_a_name_is_an_extensions(written: Any, data: Any) -> None:
    assert told("custom:progress", "custom", written) == told("custom", "custom", written) == [data]
    assert told("custom:other", "custom", written) == []


@pytest.mark.parametrize("written", ["text", 7, None, ["name"], {"step": 1}, {"name": 7}, {"name": ""}])
def test_what_it_writes_without_one_is_told_as_it_is(written: Any) -> None:
    assert told("custom", "custom", written) == [{"payload": written}]


@pytest.mark.parametrize(
    ("message", "is_told"),
    [
        (AIMessage("Ahoy", id="m"), True),
        (AIMessage("Ahoy", id="m", tool_calls=[CALL]), True),
        (HumanMessage("Ahoy", id="m"), True),
        (AIMessage("", id="m", tool_calls=[CALL]), False),
        (ToolMessage("sunny", tool_call_id="c"), False),
    ],
)
def test_a_message_that_came_at_once_is_told_where_it_says_something(message: BaseMessage, is_told: bool) -> None:
    event: Any = {"method": "messages", "params": {"namespace": [], "data": (message, {"langgraph_node": "talk"})}}
    parts = list(EventParts()._of(event))
    assert bool(parts) == is_told
    assert all(name == "event:messages" and data["id"] == "m" for name, data in parts)
