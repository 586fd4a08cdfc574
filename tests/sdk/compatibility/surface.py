"""What the installed LangGraph SDK offers: its methods, their parameters, and the values of those that have a list."""

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

from langgraph_sdk import get_client, get_sync_client, schema

Side: TypeAlias = Literal["async", "sync"]
SIDES: Final[tuple[Side, ...]] = ("async", "sync")
OTHER: Final = "names"
# What makes an attribute of a thread's stream something that is read.
_READ_BY: Final = ("__aiter__", "__iter__", "__await__", "__getitem__", "__call__")


@dataclass(frozen=True, slots=True)
class Method:
    """`name` as it is called on a client, such as `runs.create`. `owner` and `attribute`: where the SDK has it.
    `parameters`: by name, the values that one takes, empty where there is no list of them."""

    name: str
    owner: type
    attribute: str
    parameters: Mapping[str, tuple[str, ...]]

    @property
    def function(self) -> Callable[..., Any]:
        found: Any = inspect.getattr_static(self.owner, self.attribute)
        function: Callable[..., Any] = getattr(found, "fget", found)
        return function


def surface(side: Side) -> dict[str, Method]:
    """By name."""
    client: Any = (get_client if side == "async" else get_sync_client)(url="http://localhost", api_key=None)
    parts = {name: part for name, part in vars(client).items() if name != "http"}
    found = [method for name, part in parts.items() for method in _methods(name, type(part))]
    found += _of_stream(client.threads.stream(assistant_id="any"))
    return {method.name: method for method in found}


def _of_stream(stream: Any) -> Iterator[Method]:
    """A thread's stream, which `threads.stream` gives: its methods, its modules' methods and what is read of it."""
    name, seen = "threads.stream()", set[type]()
    yield from _methods(name, type(stream))
    for attribute, part in vars(stream).items():
        if attribute.startswith("_") or type(part).__module__ != type(stream).__module__ or type(part) in seen:
            continue
        seen.add(type(part))
        yield from _methods(f"{name}.{attribute}", type(part))
        for dunder in _READ_BY:
            if dunder in vars(type(part)):
                yield Method(f"{name}.{attribute}", type(part), dunder, {})
                break


def _methods(name: str, owner: type) -> Iterator[Method]:
    for attribute, member in vars(owner).items():
        if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            method = Method(f"{name}.{attribute}", owner, attribute, {})
            yield Method(method.name, owner, attribute, _parameters(method.function))


def _parameters(function: Callable[..., Any]) -> dict[str, tuple[str, ...]]:
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    hints = typing.get_type_hints(function, localns=vars(schema))
    return {name: tuple(dict.fromkeys(_values(hints.get(name)))) for name in names}


def _values(hint: Any) -> Iterator[str]:
    """Of a list that may hold other things too, the last is OTHER."""
    parts = list(_parts(hint))
    listed = [value for part in parts if get_origin(part) is Literal for value in get_args(part)]
    yield from (value for value in listed if isinstance(value, str))
    if listed and str in parts:
        yield OTHER


def _parts(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Literal or not get_args(hint):
        yield hint
    else:
        for part in get_args(hint):
            yield from _parts(part)
