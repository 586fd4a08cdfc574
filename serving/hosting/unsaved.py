"""A graph within a run's graph that keeps no states (`checkpointer=False`, such as trustcall's extractors) runs as
durably as the run: behind each step LangGraph waits for the state to be written, and fails where none ever is
(langgraph 1.2.22, `AttributeError: _put_checkpoint_fut`). There it finds that there is nothing to wait for."""

from collections.abc import Generator
from typing import Any

from langgraph.pregel._loop import PregelLoop


class _NothingToWrite:
    """In the place of a future, for both kinds of loop."""

    def result(self) -> None:
        return None

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


def run_unsaved() -> None:
    """Before a hosted graph runs."""
    loop: Any = PregelLoop
    loop._put_checkpoint_fut = _NothingToWrite()
