"""State of other people's graphs: any type comes back, of theirs the same one."""

import collections
import dataclasses
import enum
import pathlib
import threading
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from serving.runs.checkpoints.errors import CheckpointRefused, NotCarried
from serving.runs.checkpoints.open_codec import OpenCodec


class Colour(enum.StrEnum):
    RED = "red"


class Harbour(BaseModel):
    name: str
    colour: Colour = Colour.RED


@dataclasses.dataclass
class Ship:
    harbour: Harbour
    crew: tuple[str, ...] = ()


class Hold:
    @dataclasses.dataclass
    class Crate:
        weight: int


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, "x\ud800", 2**80, (1, 2), {3}], 7: b"bytes"},
        Harbour(name="Kavala"),
        [Ship(Harbour(name="Chania"), ("Ann", "Ben")), Hold.Crate(3)],
        {"deep": {"at": Colour.RED, "odd\udfff": Ship(Harbour(name="x\udc00"))}},
        AIMessage("Aye", id="m1", additional_kwargs={"harbour": "Volos"}),
        pathlib.Path("hold/crate"),
    ],
)
def test_a_value_comes_back_equal_and_of_its_type(value: Any) -> None:
    found = OpenCodec().decode(OpenCodec().encode(value))
    assert found == value
    assert type(found) is type(value)


def test_an_array_comes_back() -> None:
    found = OpenCodec().decode(OpenCodec().encode({"speed": np.arange(3)}))
    assert np.array_equal(found["speed"], np.arange(3))


def test_what_has_no_type_of_its_own_comes_back_as_plain() -> None:
    counted = collections.Counter("hoist")
    assert OpenCodec().decode(OpenCodec().encode([counted])) == [dict(counted)]


def test_what_nothing_can_carry_is_named_by_its_place() -> None:
    with pytest.raises(NotCarried, match=r"crew\.lock is of type _thread\.lock"):
        OpenCodec().encode({"crew": {"lock": threading.Lock()}})


def test_a_type_that_is_gone_is_refused() -> None:
    data = OpenCodec().encode(Harbour(name="Kavala")).replace(b":Harbour", b":Harbors")
    with pytest.raises(CheckpointRefused, match="a type that this process doesn't know"):
        OpenCodec().decode(data)
