"""A graph's run as the thread-centric protocol tells it: every channel, subgraphs and the graph's own extensions."""

import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from langchain_core._api.beta_decorator import LangChainBetaWarning
from langchain_core.messages import AIMessageChunk, BaseMessage
from langgraph.stream import ProtocolEvent, StreamChannel, StreamTransformer

from serving.hosting.channels import EVENT, place_of
from serving.hosting.factory import Graph
from serving.hosting.parts import Part

_ALIKE: Final = frozenset({"values", "updates", "custom"})
_ROLES: Final = {"ai": "ai", "human": "human", "system": "system"}
_TASKS: Final = "tasks"
_CUSTOM: Final = "custom:"


class EventParts:
    """Of one attempt. `values` are the last ones of the graph itself."""

    def __init__(self) -> None:
        self.values: Any = None
        self._messages: dict[str, str] = {}  # of a model's call that is under way, by its run

    async def stream(self, graph: Graph, start: Any, config: Any, how: dict[str, Any]) -> AsyncIterator[Part]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LangChainBetaWarning)
            run = await graph.astream_events(start, config, version="v3", transformers=[_Whole], **how)
        async with run:
            async for event in run:
                for part in self._of(event):
                    yield part

    def _of(self, event: ProtocolEvent) -> Iterator[Part]:
        method, data, namespace = event["method"], event["params"]["data"], event["params"]["namespace"]
        if method == _TASKS:
            namespace, data = data
            yield _TASKS + _within(namespace), data
        elif method == "lifecycle":
            yield f"{EVENT}lifecycle{_within(data['namespace'])}", _lifecycle(data)
        elif method == "messages":
            for told in self._of_message(*data):
                yield f"{EVENT}messages{_within(namespace)}", told
        elif method == "checkpoints":
            yield f"{EVENT}checkpoints{_within(namespace)}", place_of(data)
        elif method.startswith(_CUSTOM):
            yield f"{EVENT}custom", {"name": method.removeprefix(_CUSTOM), "payload": data}
        elif method in _ALIKE:
            if method == "values" and not namespace:
                self.values = data
            yield method + _within(namespace), data
        elif method == "tools":
            yield f"{EVENT}tools{_within(namespace)}", data

    def _of_message(self, payload: Any, metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if isinstance(payload, BaseMessage):
            # One that only calls tools isn't read by anybody: `values` has it, and `tools` what becomes of it.
            if payload.type in _ROLES and payload.text and not isinstance(payload, AIMessageChunk):
                yield from whole_message(payload, _said_of(metadata))
            return
        call = str(metadata.get("run_id", ""))
        if payload["event"] == "message-start":
            self._messages[call] = payload.get("id") or call
            payload = {**payload, "metadata": {**(payload.get("metadata") or {}), **_said_of(metadata)}}
        # Calls of models go on side by side: each piece says whose it is, to Python by `id`, to JavaScript by `run_id`.
        yield {**payload, "id": self._messages.get(call, call), "run_id": call}
        if payload["event"] in ("message-finish", "error"):
            self._messages.pop(call, None)


class _Whole(StreamTransformer):
    """Asks for what no built-in transformer does, and tells of tasks, which those keep to themselves."""

    _native = True
    required_stream_modes = ("values", "updates", "messages", "custom", "tasks", "checkpoints", "tools")

    def init(self) -> dict[str, Any]:
        self._tasks: StreamChannel[tuple[list[str], Any]] = StreamChannel(_TASKS)
        return {"told_tasks": self._tasks}

    def process(self, event: ProtocolEvent) -> bool:
        if event["method"] == "tasks" and not self.scope:
            self._tasks.push((event["params"]["namespace"], event["params"]["data"]))
        return True


def whole_message(message: BaseMessage, metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One that came at once, told as if it had been written."""
    yield {"event": "message-start", "role": _ROLES[message.type], "id": message.id, "metadata": metadata}
    for index, block in enumerate(message.content_blocks):
        for moment in ("start", "finish"):
            yield {"event": f"content-block-{moment}", "index": index, "content": block, "id": message.id}
    usage = getattr(message, "usage_metadata", None)
    yield {"event": "message-finish", "id": message.id, **({"usage": usage} if usage else {})}


def _lifecycle(data: Any) -> dict[str, Any]:
    """With the name of the subgraph, which LangGraph says only when it begins."""
    name = data["namespace"][-1].partition(":")[0] if data["namespace"] else ""
    return {**data, "graph_name": data.get("graph_name") or name}


def _said_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """What is worth to be known of a message: the node that it is of, and the model."""
    said = {
        "langgraph_node": metadata.get("langgraph_node"),
        "provider": metadata.get("ls_provider"),
        "model": metadata.get("ls_model_name"),
    }
    return {name: value for name, value in said.items() if value is not None}


def _within(namespace: list[str]) -> str:
    return "".join(f"|{part}" for part in namespace)
