"""What a caller may write into a graph's state, and what the graph says to it, and to what it finds there."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from graph.errors import TriremeError
from serving.database import TROUBLE
from serving.errors import ServingError, Unprocessable

if TYPE_CHECKING:
    from serving.hosting.factory import Graph

_OURS = (*TROUBLE, ServingError, TriremeError)
_WHOLE = "__root__"
_T = TypeVar("_T")


def check_names(graph: "Graph", values: Any) -> None:
    """LangGraph passes over names that the state doesn't have: here they are refused, so that nothing is lost in
    silence. Raises Unprocessable.
    """
    names = [name for name in graph.channels if not name.startswith(("__", "branch:"))]
    if not isinstance(values, dict) or _WHOLE in graph.channels or not names:
        return
    for name in values:
        if name not in names:
            raise Unprocessable(f"the state has no {str(name)[:100]!r}", f"it has: {', '.join(sorted(names))}")


async def applied(graph: "Graph", write: Callable[[], Awaitable[_T]]) -> _T:
    """What the graph's own code refuses is the caller's to mend. Raises Unprocessable."""
    from langgraph.errors import InvalidUpdateError

    try:
        return await write()
    except _OURS:
        raise
    except InvalidUpdateError as error:
        hint = f"as_node is one of: {', '.join(name for name in graph.nodes if name != '__start__')}"
        raise Unprocessable(f"the update can't be applied: {_said(error)}", hint, "invalid_update") from None
    except Exception as error:
        hint = "send values as the graph's state takes them: GET /assistants/{id}/schemas shows them"
        told = f"{type(error).__name__}: {_said(error)}"
        raise Unprocessable(f"the graph refuses the update: {told}", hint, "invalid_update") from error


async def readable(read: Awaitable[_T]) -> _T:
    """What a run left may be nothing that the graph's own code takes: an input that its schema refused, two values
    where there is place for one. Raises Unprocessable."""
    try:
        return await read
    except _OURS:
        raise
    except Exception as error:
        hint = "look at an earlier checkpoint, or run the graph on the thread with an input that it takes"
        told = f"{type(error).__name__}: {_said(error)}"
        raise Unprocessable(f"the graph can't read its state: {told}", hint, "unreadable_state") from error


def _said(error: Exception) -> str:
    return str(error).partition("\nFor troubleshooting")[0][:500]
