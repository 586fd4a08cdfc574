"""Which checkpoint a LangGraph config means, in ids that Postgres can hold and index."""

from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from serving.runs.checkpoints.errors import NotCarried

_LONGEST = 255
_LONGEST_NAMESPACE = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    thread_id: str
    namespace: str

    @property
    def columns(self) -> dict[str, Any]:
        return {"thread_id": self.thread_id, "namespace": self.namespace}

    def config(self, checkpoint_id: str) -> RunnableConfig:
        place = {"thread_id": self.thread_id, "checkpoint_ns": self.namespace, "checkpoint_id": checkpoint_id}
        return {"configurable": place}


def place_of(config: RunnableConfig) -> Place:
    """Raises NotCarried for a thread id or namespace that can't be kept; KeyError without a thread id, as LangGraph."""
    configurable = config["configurable"]
    thread_id = name(str(configurable["thread_id"]), "thread id")
    return Place(thread_id, name(configurable.get("checkpoint_ns") or "", "namespace", _LONGEST_NAMESPACE))


def name(text: str, what: str, longest: int = _LONGEST) -> str:
    if len(text) <= longest and text.isascii() and "\x00" not in text:
        return text
    try:
        fits = len(text.encode()) <= longest and "\x00" not in text
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise NotCarried(
            f"the {what} has a NUL, half a surrogate pair, or over {longest} bytes", f"choose a plain, shorter {what}"
        )
    return text
