"""From what LangGraph streams to the events that its SDK reads."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message
from langgraph.constants import TAG_HIDDEN

from serving.auth.user import shown
from serving.threads.checkpoint import checkpoint_of

Part: TypeAlias = tuple[str, Any]  # the event's name, and its data before it is JSON
_MESSAGES: Final = ("messages", "messages-tuple")
_WITH_CONFIGS: Final = frozenset({"checkpoints", "debug"})
# What LangGraph calls what happens to a tool's call, and what its SDK calls it: (event, field of ours, field of its).
_TOOLS: Final = {
    "tool-started": ("on_tool_start", "input", "input"),
    "tool-output-delta": ("on_tool_event", "delta", "data"),
    "tool-finished": ("on_tool_end", "output", "output"),
    "tool-error": ("on_tool_error", "message", "error"),
}


class Parts:
    """Of one attempt. The graph's own values are always streamed, since the last ones are the run's result."""

    def __init__(self, modes: Sequence[str], run_id: str) -> None:
        self._asked, self._run_id = frozenset(modes), run_id
        self._messages: dict[str, BaseMessageChunk] = {}
        self._known: set[str] = set()
        self._tools: dict[str, str] = {}  # the tool's name, by its call
        self.values: Any = None

    @property
    def modes(self) -> list[str]:
        """LangGraph's."""
        plain = {"messages" if mode in _MESSAGES else mode for mode in self._asked} - {"events"}
        return sorted(plain | {"values"})

    @property
    def with_events(self) -> bool:
        return "events" in self._asked

    def of_event(self, event: dict[str, Any]) -> Iterator[Part]:
        """Of `astream_events`: the graph's own chunks are what it streams; all else that isn't hidden is an event."""
        if event["event"] == "on_chain_stream" and event["run_id"] == self._run_id:
            yield from self.of(event["data"]["chunk"])
        elif TAG_HIDDEN not in event["tags"]:
            yield "events", event

    def of(self, chunk: Any) -> Iterator[Part]:
        """Of `astream` with a list of modes: (mode, data), or with subgraphs (namespace, mode, data)."""
        *namespace, mode, data = chunk
        within = "".join(f"|{part}" for part in namespace[0]) if namespace else ""
        if mode == "values" and not within:
            self.values = data
        if mode == "messages":
            message, metadata = data
            yield from self._of_message(message, metadata, within)
        elif mode == "tools":
            yield mode + within, self._of_tool(data)
        elif mode in self._asked:
            yield mode + within, _without_user(data) if mode in _WITH_CONFIGS else data

    def _of_tool(self, told: dict[str, Any]) -> dict[str, Any]:
        event, ours, its = _TOOLS[told["event"]]
        call = told["tool_call_id"]
        name = self._tools.setdefault(call, told.get("tool_name", ""))
        return {"event": event, "toolCallId": call, "name": name, its: told.get(ours)}

    def _of_message(self, message: BaseMessage, metadata: dict[str, Any], within: str) -> Iterator[Part]:
        if "messages-tuple" in self._asked:
            yield f"messages{within}", (message, metadata)
        if "messages" in self._asked:
            yield from self._whole(message, metadata)

    def _whole(self, message: BaseMessage, metadata: dict[str, Any]) -> Iterator[Part]:
        """Every time the message as far as it is known, for clients that replace it by its id, and know the names of
        these events by heart: a subgraph's are called so too."""
        id_ = str(message.id)
        if id_ not in self._known:
            self._known.add(id_)
            yield "messages/metadata", {id_: {"metadata": metadata}}
        if isinstance(message, BaseMessageChunk):
            so_far = self._messages.get(id_)
            whole: Any = message if so_far is None else so_far + message
            self._messages[id_] = whole
            yield "messages/partial", [message_chunk_to_message(whole)]
        else:
            yield "messages/complete", [message]


def _without_user(told: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint is told with the config that the graph was given: what `authenticate` said stays between these."""
    if isinstance(payload := told.get("payload"), dict):  # of debug
        places = {"checkpoint": "config", "parent_checkpoint": "parent_config"} if told["type"] == "checkpoint" else {}
        named = {name: checkpoint_of(payload.get(config)) for name, config in places.items()}
        return {**told, "payload": {**_without_user(payload), **named}}
    configs = ((name, told.get(name)) for name in ("config", "parent_config"))
    return {**told, **{name: shown(config) for name, config in configs if config}}
