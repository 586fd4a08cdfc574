"""LangGraph's snapshot of a state as its clients read it."""

from collections.abc import Collection
from typing import Any, Final

from serving.errors import Unprocessable
from serving.threads.checkpoint import checkpoint_of

_FIELDS: Final = (
    "values", "next", "tasks", "checkpoint", "metadata", "created_at", "parent_checkpoint", "interrupts",
)  # fmt: skip


def shown(snapshot: Any) -> dict[str, Any]:
    """Still with the graph's own values in it."""
    place = checkpoint_of(snapshot.config) or {}
    parent = checkpoint_of(snapshot.parent_config)
    return {
        "values": snapshot.values,
        "next": snapshot.next,
        "tasks": [_task(task) for task in snapshot.tasks],
        "metadata": {**snapshot.metadata, "thread_id": place.get("thread_id")} if snapshot.metadata else {},
        "created_at": snapshot.created_at,
        "checkpoint": {"checkpoint_ns": "", "checkpoint_id": None, **place},
        "parent_checkpoint": parent,
        "interrupts": interrupts_of(snapshot.interrupts),
        "checkpoint_id": place.get("checkpoint_id"),
        "parent_checkpoint_id": parent and parent.get("checkpoint_id"),
    }


def nothing(config: dict[str, Any]) -> dict[str, Any]:
    """The state of a thread that no graph has worked on."""
    place = {"checkpoint_ns": "", "checkpoint_id": None, **(checkpoint_of(config) or {})}
    empty: dict[str, Any] = {"values": {}, "next": [], "tasks": [], "metadata": {}, "created_at": None}
    ids = {"checkpoint_id": None, "parent_checkpoint_id": None}
    return {**empty, "checkpoint": place, "parent_checkpoint": None, "interrupts": [], **ids}


def check_select(select: Collection[str]) -> None:
    """Raises Unprocessable."""
    for name in select:
        if name not in _FIELDS and not (name.startswith("values.") and len(name) > len("values.")):
            raise Unprocessable(
                f"select: there is no field {name[:100]!r}", f"fields: {', '.join(_FIELDS)}; values.KEY for one value"
            )


def interrupts_of(interrupts: Collection[Any]) -> list[dict[str, Any]]:
    found = []
    for pause in interrupts:
        schema = getattr(pause, "response_schema", None)
        found.append({"id": pause.id, "value": pause.value, **({"response_schema": schema} if schema else {})})
    return found


def _task(task: Any) -> dict[str, Any]:
    """A subgraph's task has its checkpoint's place, or with `subgraphs` its state."""
    nested = hasattr(task.state, "values") and not isinstance(task.state, dict)
    return {
        "id": task.id,
        "name": task.name,
        "path": task.path,
        "error": None if task.error is None else str(task.error),
        "interrupts": interrupts_of(task.interrupts),
        "checkpoint": checkpoint_of(task.state.config if nested else task.state),
        "state": shown(task.state) if nested else None,
        "result": task.result,
    }


def selected(state: dict[str, Any], select: Collection[str]) -> dict[str, Any]:
    """`select`: fields, or `values.KEY` for one value alone; without it, all."""
    if not select:
        return state
    kept = {name: value for name, value in state.items() if name in select}
    keys = [name.removeprefix("values.") for name in select if name.startswith("values.")]
    if keys and "values" not in kept:
        values = state["values"] if isinstance(state["values"], dict) else {}
        kept["values"] = {key: values[key] for key in keys if key in values}
    return kept
