"""How a hosted graph's log keeps what only the thread-centric protocol tells."""

from typing import Any, Final

# Before the method of an event that LangGraph's older streams don't have, or have in another shape.
EVENT: Final = "event:"
ASKED: Final = f"{EVENT}input.requested"
_MESSAGES: Final = f"{EVENT}messages"
_PIECES: Final = {"text-delta": "text", "reasoning-delta": "reasoning", "tool-call-delta": "args"}


def joined(event: str, before: Any, after: Any) -> Any:
    """The piece of a message that two of the same block are together; None where they are no such pieces."""
    if not event.startswith(_MESSAGES) or "delta" not in before or "delta" not in after:
        return None
    name = _PIECES.get(after["delta"]["type"])
    if name is None or _whose(before) != _whose(after):
        return None
    return {**after, "delta": {**after["delta"], name: before["delta"][name] + after["delta"][name]}}


def _whose(piece: Any) -> tuple[Any, ...]:
    return piece["id"], piece["index"], piece["delta"]["type"]


def place_of(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What a fork needs to know of a checkpoint, of all that LangGraph tells of it; the values are told as values."""
    config, parent, metadata = checkpoint["config"], checkpoint.get("parent_config"), checkpoint.get("metadata") or {}
    place = {"id": _id_in(config), "step": metadata.get("step"), "source": metadata.get("source")}
    return {**place, "parent_id": _id_in(parent)} if parent else place


def _id_in(config: dict[str, Any]) -> Any:
    return config["configurable"].get("checkpoint_id")
