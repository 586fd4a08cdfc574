"""The agent's log as a graph's stream: its talk as `values`, its steps as `updates`, its answer as it is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from serving.api.sdk.agent_messages import ai, answer_id, told
from serving.api.sdk.framing import SdkFraming, without_id
from serving.api.sdk.growing import Growing
from serving.database import Row
from serving.hosting.config import AGENT
from serving.runs.decisions.questions import question_of, shown

NODES: Final = {
    "plan_proposed": ("plan", "plan"),
    "plan_edited": ("plan", "plan"),
    "step_finished": ("work", "outcome"),
    "verdict_given": ("critic", "verdict"),
}


@dataclass(frozen=True)
class AgentFraming(SdkFraming):
    """`said`: the messages up to this run's goal, as JSON text. `growing`: the reader's own, if it wants messages."""

    thread_id: str
    said: str
    growing: Growing | None = None

    def __call__(self, row: Row, body: str) -> str:
        parts = self._of(row["kind"], row["seq"], orjson.loads(body))
        more = (self.message(row["seq"], event, orjson.dumps(data).decode()) for event, data in parts)
        *frames, last = super().__call__(row, body), *more
        # Whoever has the id has all of the line.
        return "".join([*map(without_id, frames), last])

    def _of(self, kind: str, seq: int, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Of the events that the reader wants; the words last, which would be doubled if they were told twice."""
        wanted = [part for part in self._all(kind, seq, body) if part[0] in self.events]
        return iter(sorted(wanted, key=lambda part: part[0] == "messages"))

    def _all(self, kind: str, seq: int, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        yield "custom", {"type": kind, **{name: value for name, value in body.items() if name != "kind"}}
        if self.growing and (grown := self.growing.take(seq, kind, body)):
            about = {"run_id": self.run_id, "thread_id": self.thread_id, "graph_id": AGENT}
            yield from told(grown, self.run_id, about)
        if kind in NODES:
            node, name = NODES[kind]
            yield "updates", {node: {name: body[name]}}
        match kind:
            case "run_created":
                yield "values", self.values()
            case "answer_written":
                yield from self._answered(body["answer"])
            case "approval_requested" | "effect_unknown":
                yield "updates", {"__interrupt__": [self.interrupt(body)]}
                yield "values", self.values(waiting=[body])

    def _answered(self, answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        if self.growing:
            yield "messages/complete", [ai(answer_id(self.run_id, self.growing.again), answer["text"])]
        whole = ai(answer_id(self.run_id), answer["text"])
        yield "updates", {"answer": {"messages": [whole], "answer": answer}}
        yield "values", self.values(answer=answer)

    def values(self, *, answer: dict[str, Any] | None = None, waiting: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        messages = orjson.loads(self.said)
        values: dict[str, Any] = {"messages": messages}
        if answer is not None:
            values |= {"messages": [*messages, ai(answer_id(self.run_id), answer["text"])], "answer": answer}
        if waiting:
            values["__interrupt__"] = [self.interrupt(each) for each in waiting]
        return values

    @staticmethod
    def interrupt(asked: dict[str, Any]) -> dict[str, Any]:
        """LangChain's HITL request; its id is the approval's, or the effect's key."""
        return shown(question_of(asked))
