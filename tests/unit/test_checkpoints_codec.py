"""What goes into a checkpoint comes out equal and of the same type, or is refused with its place."""

import enum
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_SINGLE_ARG
from langgraph.types import Command, Interrupt, Overwrite, Send
from pydantic import BaseModel

from privacy.redact import from_record
from serving.runs.checkpoints.codec import Codec
from serving.runs.checkpoints.errors import CheckpointRefused, NotCarried

ATHENS = ZoneInfo("Europe/Athens")
CODEC = Codec()


class Reading(BaseModel):
    place: str
    values: list[float] = []


@dataclass(frozen=True)
class Spot:
    x: int
    y: tuple[int, ...]


class Colour(enum.Enum):
    RED = "red"


VALUES: list[Any] = [
    None,
    True,
    "",
    "a\x00b",
    "\ud800 alone",
    {"\udfff": 1, "a\x00": "\ud800"},
    {1: "one", (2, "x"): b"pair", None: 0.5},
    2**63,
    2**64,
    -(2**63) - 1,
    10**5_000,
    -0.0,
    math.inf,
    b"\x00\xff",
    (1, (2, [3, ()])),
    [(), [], {}],
    {1, 2},
    frozenset({"a"}),
    deque([1, 2], 3),
    datetime(2026, 10, 25, 3, 30, fold=1, tzinfo=ATHENS),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 1, 2, 3, 4),
    date(2026, 1, 1),
    time(1, 2, tzinfo=timezone(timedelta(hours=2), "EET")),
    timedelta(-1, 2, 3),
    UUID(int=7),
    Decimal("1.10"),
    Decimal("-0E+3"),
    Send("node", {"x": (1,)}),
    Interrupt({"ask": ("a",)}, id="i1"),
    Command(update={"a": (1,)}, resume={"x": 1}, goto=Send("n", 1)),
    Overwrite([1]),
    Document("text", metadata={"page": 3}),
    {"lc": 2, "type": "constructor", "id": ["posix", "system"], "args": ["true"]},
]
MESSAGES: list[BaseMessage] = [
    HumanMessage("hi", id="1"),
    HumanMessage([{"type": "text", "text": "\ud800\x00"}], name="Ada"),
    AIMessage(
        "x",
        tool_calls=[{"name": "search", "args": {"q": "a"}, "id": "c1"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        response_metadata={"model": "m"},
    ),
    AIMessage("", additional_kwargs={"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}),
    AIMessageChunk(content="x", tool_call_chunks=[{"name": "f", "args": "{", "id": "c", "index": 0}]),
    SystemMessage("s"),
    ToolMessage("done", tool_call_id="c1", artifact=(b"raw",), status="error"),
    ChatMessage(content="x", role="critic", mood="calm"),
    RemoveMessage(id="1"),
]


def same(left: Any, right: Any) -> bool:
    """Equal, with equal types all the way down; NaN equals NaN and 0.0 isn't -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, Send):
        return left.node == right.node and same(left.arg, right.arg)
    if isinstance(left, float):
        return math.copysign(1, left) == math.copysign(1, right) and (left == right or math.isnan(left))
    if isinstance(left, list | tuple | deque):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(CODEC.decode(CODEC.encode(value)), value)
    assert same(CODEC.decode(CODEC.encode({"deep": [value]})), {"deep": [value]})


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: f"{type(message).__name__}-{message.id}")
def test_a_message_comes_back_as_it_was(message: BaseMessage) -> None:
    back = CODEC.decode(CODEC.encode([message]))[0]
    assert type(back) is type(message)
    assert back == message
    assert repr(back) == repr(message)
    assert back.model_dump() == message.model_dump()
    assert back.model_fields_set == message.model_fields_set


def test_a_message_that_was_changed_in_place_keeps_the_change() -> None:
    message = AIMessage("draft")
    message.tool_calls.append({"name": "f", "args": {}, "id": "c", "type": "tool_call"})
    assert CODEC.decode(CODEC.encode(message)).tool_calls == message.tool_calls


def test_a_loaded_message_shares_no_default_with_another() -> None:
    data = CODEC.encode(AIMessage("x"))
    CODEC.decode(data).additional_kwargs["a"] = 1
    assert CODEC.decode(data).additional_kwargs == {}


def leaves() -> st.SearchStrategy[Any]:
    surrogates = st.text(st.characters(exclude_categories=()), max_size=8)
    moments = st.datetimes(timezones=st.none() | st.just(UTC) | st.just(ATHENS))
    return st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), surrogates, st.binary(max_size=8), moments,
        st.decimals(allow_nan=False), st.uuids(), st.timedeltas(),
    )  # fmt: skip


def nested() -> st.SearchStrategy[Any]:
    keys = st.text(st.characters(exclude_categories=()), max_size=4) | st.integers() | st.tuples(st.integers())
    return st.recursive(
        leaves(),
        lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
        max_leaves=12,
    )


@settings(max_examples=150)
@given(nested())
def test_any_nested_value_comes_back_as_it_was(value: Any) -> None:
    assert same(CODEC.decode(CODEC.encode(value)), value)


@settings(max_examples=150)
@given(st.data())
def test_mutated_bytes_give_a_value_or_are_refused(data: st.DataObject) -> None:
    encoded = bytearray(CODEC.encode([VALUES[-4], MESSAGES[2], (1, 2**70), Interrupt(1, id="x")]))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        CODEC.decode(bytes(encoded))
    except CheckpointRefused:
        return


def test_redacted_text_comes_back_as_plain_text() -> None:
    goal = from_record("Ask [EMAIL_1]")
    for value in (goal, [goal], {goal: goal}, {"a": goal, "b": "\ud800"}, HumanMessage(goal)):
        back = CODEC.decode(CODEC.encode(value))
        assert back == value
    assert type(CODEC.decode(CODEC.encode(goal))) is str


def test_exceptions_are_kept_as_their_text() -> None:
    assert CODEC.decode(CODEC.encode(("__error__", ValueError("no")))) == ("__error__", "ValueError('no')")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "of type builtins.object"),
        ({"plan": [1, {"by": print}]}, "plan[1].by is of type builtins.builtin_function_or_method"),
        (ToolMessage("x", tool_call_id="c", artifact=Path("a")), "artifact is of type pathlib"),
        (Reading(place="x"), "Reading"),
        (Colour.RED, "Colour"),
        (type("Text", (str,), {})("x"), "Text"),
    ],
)
def test_a_type_that_is_not_carried_is_refused_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(NotCarried) as refused:
        CODEC.encode(value)
    assert said in str(refused.value)


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: (value,), lambda value: {"a": value}])
def test_what_is_nested_too_deep_is_refused(wrap: Callable[[Any], Any]) -> None:
    value: Any = None
    for _ in range(600):
        value = wrap(value)
    with pytest.raises(NotCarried, match="nested too deep"):
        CODEC.encode(value)


def test_a_hosts_own_types_are_carried_when_it_allows_them() -> None:
    codec = Codec([Reading, Spot, Colour])
    values = [Reading(place="x", values=[1.5]), Spot(1, (2,)), Colour.RED]
    assert same(codec.decode(codec.encode(values)), values)
    with pytest.raises(CheckpointRefused):
        CODEC.decode(codec.encode(values))


def test_only_models_dataclasses_and_enums_can_be_allowed() -> None:
    with pytest.raises(TypeError, match="pathlib"):
        Codec([Path])


def test_what_names_a_callable_is_not_called(tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    call = ormsgpack.packb(("posix", "system", f"touch {witness}"))
    for number in range(128):
        try:
            CODEC.decode(ormsgpack.packb({"goal": ormsgpack.Ext(number, call)}))
        except CheckpointRefused:
            continue
    assert EXT_CONSTRUCTOR_SINGLE_ARG in range(128)
    assert not witness.exists()
