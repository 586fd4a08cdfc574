"""Which of the SDK's methods the tests call, with which parameters, and what came of it."""

import functools
import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from langgraph_sdk.errors import APIStatusError

from tests.sdk.compatibility.surface import OTHER, SIDES, Method, surface

_OF_THE_DAY: Final = re.compile(r"[0-9a-f]{8}-[-0-9a-f]{27}|http://\S+|\d{4}-\d\d-\d\d \d\d:\d\d")
Given: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(slots=True)
class Call:
    """By a client of one kind (async, sync). `given`: the parameters, with what was said of those that have a list of
    values. `test`: file and function. `refusal`: what the server said instead of an answer."""

    client: str
    method: str
    given: Given
    test: str
    refusal: str = ""


@dataclass(slots=True)
class Recorder:
    """From `begin` to `end`, every call of the SDK in this process is in `calls`. `in_javascript`: what its sister
    offers, by method: the options with which it was called, None where it wasn't."""

    calls: list[Call] = field(default_factory=list)
    in_javascript: dict[str, set[str] | None] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    _undo: list[Callable[[], None]] = field(default_factory=list)

    def begin(self) -> None:
        for side in SIDES:
            for method in surface(side).values():
                self._replace(side, method)

    def end(self) -> None:
        while self._undo:
            self._undo.pop()()

    def javascript(self, lines: Iterable[str]) -> None:
        """What tests/sdk/javascript/client.js writes."""
        for line in map(json.loads, lines):
            options = self.in_javascript.setdefault(line["method"], None)
            if "options" in line:
                self.in_javascript[line["method"]] = (options or set()) | set(line["options"])

    def _replace(self, side: str, method: Method) -> None:
        before = inspect.getattr_static(method.owner, method.attribute)
        wrapped = self._recorded(side, method)
        setattr(method.owner, method.attribute, property(wrapped) if isinstance(before, property) else wrapped)
        self._undo.append(lambda: setattr(method.owner, method.attribute, before))

    def _recorded(self, side: str, method: Method) -> Callable[..., Any]:
        function, signature = method.function, inspect.signature(method.function)

        def begun(arguments: Sequence[Any], options: Mapping[str, Any]) -> Call:
            bound = dict(list(signature.bind(*arguments, **options).arguments.items())[1:])
            given = {
                name: _said(value, method.parameters.get(name, ()))
                for name, value in bound.items()
                if value is not None
            }
            self.calls.append(Call(side, method.name, given, _test()))
            return self.calls[-1]

        @functools.wraps(function)
        def plain(*arguments: Any, **options: Any) -> Any:
            call = begun(arguments, options)
            try:
                answer = function(*arguments, **options)
            except Exception as error:
                call.refusal = _reason(error)
                raise
            return _Told(answer, call) if hasattr(answer, "__anext__") or hasattr(answer, "__next__") else answer

        @functools.wraps(function)
        async def awaited(*arguments: Any, **options: Any) -> Any:
            call = begun(arguments, options)
            try:
                return await function(*arguments, **options)
            except Exception as error:
                call.refusal = _reason(error)
                raise

        return awaited if inspect.iscoroutinefunction(function) else plain


class _Told:
    """A stream, which is refused when it is read."""

    def __init__(self, stream: Any, call: Call) -> None:
        self._stream, self._call = stream, call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> "_Told":
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._stream)
        except Exception as error:
            self._ended(error)
            raise

    def __next__(self) -> Any:
        try:
            return next(self._stream)
        except Exception as error:
            self._ended(error)
            raise

    def _ended(self, error: Exception) -> None:
        if not isinstance(error, StopAsyncIteration | StopIteration):
            self._call.refusal = _reason(error)


def _said(value: Any, values: Sequence[str]) -> tuple[str, ...]:
    said = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return tuple(each if each in values else OTHER for each in said) if values else ()


def _test() -> str:
    name = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0].partition("[")[0]
    return name.rpartition("/")[2]


def _reason(error: Exception) -> str:
    """What the server says to people, without what differs from run to run."""
    if isinstance(error, APIStatusError) and isinstance(error.body, dict):
        said = f"{error.status_code}: {error.body.get('message')}"
    else:
        said = str(error).partition("\n")[0] or type(error).__name__
    return _OF_THE_DAY.sub("...", said)
