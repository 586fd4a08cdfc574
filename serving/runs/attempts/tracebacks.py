"""So that a pause or an error of a node doesn't hold its attempt until the garbage collector comes by."""

from typing import Any

from langgraph.pregel import _runner

_OF_LANGGRAPH = ("langgraph/pregel/_retry.py", "langgraph/pregel/_runner.py", "langgraph/_internal/_runnable.py")


def cut_tracebacks() -> None:
    """LangGraph means to leave its own frames out of what a node raised, but looks for the names that its files had
    before 1.0. Left in, its runner's frame holds a traceback that holds the frame, and with it all that the run has."""
    runner: Any = _runner
    named = runner.EXCLUDED_FRAME_FNAMES
    runner.EXCLUDED_FRAME_FNAMES = (*named, *(name for name in _OF_LANGGRAPH if name not in named))
