"""How a hosted graph's log keeps what only the thread-centric protocol tells."""

from typing import Any, Final

# Before the method of an event that LangGraph's older streams don't have, or have in another shape.
EVENT: Final = "event:"


def place_of(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What a fork needs to know of a checkpoint, of all that LangGraph tells of it; the values are told as values."""
    config, parent, metadata = checkpoint["config"], checkpoint.get("parent_config"), checkpoint.get("metadata") or {}
    place = {"id": _id_in(config), "step": metadata.get("step"), "source": metadata.get("source")}
    return {**place, "parent_id": _id_in(parent)} if parent else place


def _id_in(config: dict[str, Any]) -> Any:
    return config["configurable"].get("checkpoint_id")
