"""A checkpoint as a caller names it, and as LangGraph's configs do."""

from typing import Any

from pydantic import BaseModel, Field

from serving.errors import Unprocessable


class CheckpointRef(BaseModel):
    """One without an id is the latest of its namespace; a subgraph's namespace is that of its task."""

    thread_id: str | None = None
    checkpoint_ns: str | None = Field(default=None, max_length=1_000)
    checkpoint_id: str | None = Field(default=None, max_length=255)
    checkpoint_map: dict[str, str] | None = None

    def config(self, thread_id: str) -> Any:
        """LangGraph's RunnableConfig. Raises Unprocessable for a checkpoint of another thread."""
        if self.thread_id not in (None, thread_id):
            raise Unprocessable(
                f"the checkpoint is of another thread than {thread_id}", "send it to the thread that it is of"
            )
        named = {name: value for name, value in self.model_dump().items() if value}
        return {"configurable": {**named, "thread_id": thread_id, "checkpoint_ns": self.checkpoint_ns or ""}}


def checkpoint_of(config: Any) -> dict[str, Any] | None:
    """What a config says of a checkpoint: without the graph's own settings."""
    named = (config or {}).get("configurable", {})
    if "checkpoint_id" not in named and "checkpoint_ns" not in named:
        return None
    kept = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")
    return {name: named[name] for name in kept if name in named}
