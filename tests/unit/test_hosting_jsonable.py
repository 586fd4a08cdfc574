"""Whatever a graph gives out becomes JSON that the SDK reads and Postgres holds."""

import dataclasses
import enum
import math
import uuid
from collections import deque, namedtuple
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.types import Interrupt, Send
from pydantic import BaseModel

from serving.hosting.jsonable import to_json

Point = namedtuple("Point", "x y")


class Knot(BaseModel):
    speed: int
    at: datetime | None = None


@dataclasses.dataclass
class Ship:
    knot: Knot
    crew: set[str]


class Sail(enum.Enum):
    JIB = "jib"


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Knot(speed=7, at=NOON), {"speed": 7, "at": "2026-11-21T12:00:00+00:00"}),
        (Ship(Knot(speed=7), {"Ann"}), {"knot": {"speed": 7, "at": None}, "crew": ["Ann"]}),
        (Interrupt("go?", "i1"), {"value": "go?", "id": "i1", "response_schema": None}),
        ([ValueError("the mast broke")], [{"error": "ValueError", "message": "the mast broke"}]),
        ({"a": b"\x00\xff", 3: Sail.JIB}, {"a": "AP8=", "3": "jib"}),
        ((math.nan, math.inf, Decimal("1.5"), deque([1])), [None, None, "1.5", [1]]),
        (Point(1, 2), {"x": 1, "y": 2}),
        ([timedelta(seconds=90), uuid.UUID(int=1), Knot], [90.0, str(uuid.UUID(int=1)), "Knot"]),
        ({"big": 2**70, "half": "a\ud800b", "nul": "c\x00d"}, {"big": str(2**70), "half": "a�b", "nul": "c�d"}),
        (
            {(1, 2): Ship(Knot(speed=1), set()), "x": "\udc00"},
            {"(1, 2)": {"knot": {"speed": 1, "at": None}, "crew": []}, "x": "�"},
        ),
    ],
)
def test_a_value_becomes_json(value: Any, expected: Any) -> None:
    assert orjson.loads(to_json(value)) == expected


def test_messages_have_the_fields_that_clients_read() -> None:
    human, ai = orjson.loads(to_json([HumanMessage("Ahoy", id="h"), AIMessage("Aye", id="a")]))
    assert (human["type"], human["content"], human["id"]) == ("human", "Ahoy", "h")
    assert (ai["type"], ai["tool_calls"], ai["usage_metadata"]) == ("ai", [], None)


def test_what_is_nested_without_end_is_cut_off() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert to_json(endless).startswith(b"[[[")


def test_an_object_of_no_known_kind_is_told_by_its_words() -> None:
    assert orjson.loads(to_json([Send("node", 1), object])) == [{"node": "node", "arg": 1, "timeout": None}, "object"]
