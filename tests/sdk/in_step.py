"""The SDK's sync client where a test expects the async one: each call is the sync client's, in a thread."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

_ENDED: Final = object()


class InStep:
    """`sync` does the work, `model` (the async twin) says how its methods are called."""

    def __init__(self, sync: Any, model: Any, threads: ThreadPoolExecutor) -> None:
        self._sync, self._model, self._threads = sync, model, threads

    def __getattr__(self, name: str) -> Any:
        found, model = getattr(self._sync, name), getattr(self._model, name)
        if inspect.iscoroutinefunction(model):
            return lambda *arguments, **options: self._called(found, arguments, options)
        if callable(model):
            return lambda *arguments, **options: self._streamed(found, arguments, options)
        return InStep(found, model, self._threads) if hasattr(found, "__dict__") else found

    async def _called(self, function: Callable[..., Any], arguments: Any, options: Any) -> Any:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._threads, lambda: function(*arguments, **options))
        return self._told(answer) if hasattr(answer, "__next__") else answer

    def _streamed(self, function: Callable[..., Any], arguments: Any, options: Any) -> AsyncIterator[Any]:
        stream = function(*arguments, **options)
        if not hasattr(stream, "__next__"):
            pytest.skip("the sync client's thread streams have tests of their own")
        return self._told(stream)

    async def _told(self, stream: Iterator[Any]) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        try:
            while (part := await loop.run_in_executor(self._threads, next, stream, _ENDED)) is not _ENDED:
                yield part
        finally:
            await loop.run_in_executor(self._threads, stream.close)  # type: ignore[attr-defined]
