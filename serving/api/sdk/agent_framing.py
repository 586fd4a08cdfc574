"""The agent's log as a graph's stream: its talk as `values`, its steps as `updates`, its answer as it is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from graph.approval import interrupt_payload
from graph.ports import ApprovalRequest
from serving.api.sdk.framing import SdkFraming, message
from serving.database import Row
from serving.hosting.config import AGENT

NODES: Final = {
    "plan_proposed": ("plan", "plan"),
    "plan_edited": ("plan", "plan"),
    "step_finished": ("work", "outcome"),
    "verdict_given": ("critic", "verdict"),
}


@dataclass(frozen=True)
class AgentFraming(SdkFraming):
    """`said`: the messages up to this run's goal, as JSON text."""

    thread_id: str
    said: str

    def __call__(self, row: Row, body: str) -> str:
        parts = self._of(row["kind"], row["seq"], orjson.loads(body))
        frames = (message(row["seq"], event, orjson.dumps(data).decode()) for event, data in parts)
        return super().__call__(row, body) + "".join(frames)

    def _of(self, kind: str, seq: int, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Of the events that the reader wants."""
        return ((event, data) for event, data in self._all(kind, seq, body) if event in self.events)

    def _all(self, kind: str, seq: int, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        yield "custom", {"type": kind, **{name: value for name, value in body.items() if name != "kind"}}
        if kind in NODES:
            node, name = NODES[kind]
            yield "updates", {node: {name: body[name]}}
        match kind:
            case "run_created":
                yield "values", self.values()
            case "answer_delta":
                chunk = {**self.ai(self.run_id, body["text"]), "type": "AIMessageChunk"}
                yield "messages", [chunk, self._metadata_of("answer")]
            case "answer_written":
                yield from self._answered(body["answer"])
            case "approval_requested":
                interrupts = [self.interrupt(body)]
                yield "updates", {"__interrupt__": interrupts}
                yield "values", self.values(waiting=[body])

    def _answered(self, answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        whole = self.ai(self.run_id, answer["text"])
        yield "messages/metadata", {whole["id"]: {"metadata": self._metadata_of("answer")}}
        yield "messages/complete", [whole]
        yield "updates", {"answer": {"messages": [whole], "answer": answer}}
        yield "values", self.values(answer=answer)

    def values(self, *, answer: dict[str, Any] | None = None, waiting: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        messages = orjson.loads(self.said)
        values: dict[str, Any] = {"messages": messages}
        if answer is not None:
            values |= {"messages": [*messages, self.ai(self.run_id, answer["text"])], "answer": answer}
        if waiting:
            values["__interrupt__"] = [self.interrupt(each) for each in waiting]
        return values

    @staticmethod
    def interrupt(asked: dict[str, Any]) -> dict[str, Any]:
        """LangChain's HITL request; its id is the approval's."""
        names = ("name", "arguments", "description", "expires_at")
        question = {name: asked[name] for name in names} | {"kind": asked["approval_kind"], "digest": ""}
        request = ApprovalRequest.model_validate({**question, "id": asked["approval_id"]})
        return {"id": request.id, "value": interrupt_payload(request)}

    @staticmethod
    def human(id_: str, text: str) -> dict[str, Any]:
        return {**_MESSAGE, "type": "human", "content": text, "id": id_}

    @staticmethod
    def ai(run_id: str, text: str) -> dict[str, Any]:
        own: dict[str, Any] = {"tool_calls": [], "invalid_tool_calls": [], "usage_metadata": None}
        return {**_MESSAGE, "type": "ai", "content": text, "id": f"answer-{run_id}", **own}

    def _metadata_of(self, node: str) -> dict[str, Any]:
        return {"run_id": self.run_id, "thread_id": self.thread_id, "graph_id": AGENT, "langgraph_node": node}


_MESSAGE: Final[dict[str, Any]] = {"additional_kwargs": {}, "response_metadata": {}, "name": None}
