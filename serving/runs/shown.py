"""A run as LangGraph's clients know it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from serving.auth.user import shown as shown_config
from serving.database import Row

# A status as the SDK has it, and those that it stands for here.
STATUSES: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in ("pending", "running", "success", "error", "timeout")},
    "interrupted": ("interrupted", "cancelled"),
}


def shown_run(row: Row) -> dict[str, Any]:
    status = next(name for name, ours in STATUSES.items() if row["status"] in ours)
    launch = row["launch"] or {}
    changed: datetime = row["finished_at"] or row["started_at"] or row["created_at"]
    return {
        "run_id": str(row["run_id"]),
        "thread_id": str(row["thread_id"]),
        "assistant_id": row["assistant_id"] and str(row["assistant_id"]),
        "created_at": row["created_at"].isoformat(),
        "updated_at": changed.isoformat(),
        "status": status,
        "metadata": row["metadata"],
        "kwargs": {**launch, "config": shown_config(launch.get("config") or {})} if launch else {},
        "multitask_strategy": launch.get("multitask_strategy", "enqueue"),
    }
