"""What a checkpoint writes: what is new, once; and a list that grows, by its new items alone."""

from collections.abc import Callable
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage

from serving.runs.checkpoints.codec import Codec
from serving.runs.checkpoints.layout import Apart, Inline, Layout, Listed, Plan

CODEC = Codec()
LAYOUT = Layout(CODEC)
LONG = "x" * 500


def planned(values: dict[str, Any], before: Plan | None = None, unchanged: tuple[str, ...] = ()) -> Plan:
    versions = dict.fromkeys(values, 1)
    changed = {channel: 1 for channel in values if channel not in unchanged}
    return LAYOUT.plan(values, versions, changed, before.stored if before else {})


def written(plan: Plan) -> list[Any]:
    return [CODEC.decode(item) for new in plan.items for item in ormsgpack.unpackb(new.data)]


def test_small_values_lie_in_the_checkpoint_and_large_ones_apart() -> None:
    plan = planned({"step": 3, "goal": LONG})
    assert isinstance(plan.stored["step"], Inline)
    assert isinstance(plan.stored["goal"], Apart)
    assert [channel for channel, _, _ in plan.values] == ["goal"]


def test_an_unchanged_value_is_not_written_again() -> None:
    first = planned({"goal": LONG, "messages": [HumanMessage(LONG)]})
    second = planned({"goal": LONG, "messages": [HumanMessage(LONG)]}, first, unchanged=("goal", "messages"))
    assert second.stored == first.stored
    assert not second.values
    assert not second.items


def test_a_list_that_grew_writes_its_new_items_only() -> None:
    messages: list[Any] = [HumanMessage(LONG, id="1"), AIMessage(LONG, id="2")]
    first = planned({"messages": messages})
    second = planned({"messages": [*messages, AIMessage("new", id="3")]}, first)
    assert written(first) == messages
    assert written(second) == [AIMessage("new", id="3")]
    assert second.items[0].position == 2
    assert second.items[0].epoch == first.items[0].epoch


def test_a_list_that_was_written_again_as_it_was_costs_nothing() -> None:
    first = planned({"messages": [HumanMessage(LONG)]})
    assert not planned({"messages": [HumanMessage(LONG)]}, first).items


def test_a_list_that_lost_or_swapped_an_item_begins_a_new_epoch() -> None:
    messages: list[Any] = [HumanMessage(LONG, id="1"), AIMessage(LONG, id="2")]
    first = planned({"messages": messages})
    for other in (messages[1:], messages[::-1], messages[:1]):
        again = planned({"messages": other}, first)
        assert written(again) == other
        assert again.items[0].position == 0
        assert again.items[0].epoch != first.items[0].epoch


def answer() -> AIMessage:
    call = {"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    return AIMessage(LONG, id="1", additional_kwargs={"a": {"b": 1}}, tool_calls=[call], response_metadata={"n": 1})


CHANGES: dict[str, Callable[[Any], object]] = {
    "another text": lambda message: setattr(message, "content", "other"),
    "text becomes blocks": lambda message: setattr(message, "content", [{"type": "text", "text": LONG}]),
    "a value deep inside": lambda message: message.additional_kwargs["a"].update(b=2),
    "true for one": lambda message: message.response_metadata.update(n=True),
    "an argument of a call": lambda message: message.tool_calls[0]["args"].update(a=2),
    "one more call": lambda message: message.tool_calls.append(dict(message.tool_calls[0], id="c2")),
    "what can't be packed as it is": lambda message: message.response_metadata.update(n=(1, 2)),
    "a field that nobody had set": lambda message: setattr(message, "usage_metadata", None),
    "an extra field": lambda message: setattr(message, "note", "n"),
    "a name": lambda message: setattr(message, "name", "n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_inside_an_item_is_seen_though_the_object_is_the_same(change: str) -> None:
    messages: list[Any] = [HumanMessage(LONG, id="0"), answer()]
    second = planned({"messages": messages}, planned({"messages": messages}))
    assert not second.items
    CHANGES[change](messages[1])
    changed = planned({"messages": messages}, second)
    assert written(changed) == messages
    assert written(changed)[1].model_fields_set == messages[1].model_fields_set


def test_items_that_are_as_they_were_are_not_encoded_again() -> None:
    class Counting(Codec):
        encoded = 0

        def encode(self, value: Any) -> bytes:
            self.encoded += 1
            return super().encode(value)

    codec = Counting()
    layout, messages = Layout(codec), [answer() for _ in range(100)]
    stored = layout.plan({"messages": messages}, {"messages": 1}, {"messages": 1}, {}).stored
    before = codec.encoded
    layout.plan({"messages": [*messages, answer()]}, {"messages": 2}, {"messages": 2}, stored)
    assert codec.encoded - before == 1


def test_a_list_refers_to_its_epoch_and_length() -> None:
    plan = planned({"messages": [LONG, LONG]})
    listed = plan.stored["messages"]
    assert isinstance(listed, Listed)
    assert plan.refs == {"items": {"messages": [listed.epoch, 2]}}
