"""Planner, worker and critic's log as events of the protocol: its talk, its steps, its tools, its questions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.api.sdk.agent import agent_framing
from serving.api.sdk.agent_framing import NODES, AgentFraming
from serving.api.thread_streams.framing import EventFraming, Told, question, told
from serving.api.thread_streams.subscription import Subscription
from serving.database import Row
from serving.hosting.config import AGENT
from serving.services import ApiServices


async def agent_events(
    services: ApiServices, row: Row, wanted: Subscription, heard: int, *, plain: bool
) -> "AgentEvents":
    talk = await agent_framing(services, row, ())
    return AgentEvents(str(row["run_id"]), AGENT, row["place"], wanted, heard, plain, talk=talk)


@dataclass(frozen=True)
class AgentEvents(EventFraming):
    """`talk` knows the messages up to this run's goal."""

    talk: AgentFraming = field(kw_only=True)

    def tells(self, kind: str, line: int, body: str) -> Iterator[Told]:
        given = orjson.loads(body)
        yield from self._said(kind, given)
        if kind in NODES:
            node, name = NODES[kind]
            yield update(node, {name: given[name]})
        payload = {name: value for name, value in given.items() if name != "kind"}
        data = orjson.dumps({"name": kind, "payload": payload}).decode()
        yield f"custom:{kind}", "custom", (), data, ""
        yield from super().tells(kind, line, body)

    def _said(self, kind: str, body: dict[str, Any]) -> Iterator[Told]:
        match kind:
            case "run_created":
                yield told("values", (), self.talk.values())
            case "answer_delta":
                yield from self._piece(body)
            case "answer_written":
                yield from self._answered(body["answer"])
            case "approval_requested":
                asked = self.talk.interrupt(body)
                yield told("values", (), self.talk.values(waiting=[body]))
                yield question(asked["id"], asked["value"])
            case "run_interrupted" | "run_paused":
                yield self.lifecycle("interrupted")
            case "tool_started":
                started = {"tool_call_id": body["call_id"], "tool_name": body["tool"], "input": body["arguments"]}
                yield told("tools", (), {"event": "tool-started", **started})
            case "tool_finished":
                yield told("tools", (), _tool_ended(body))

    def _piece(self, body: dict[str, Any]) -> Iterator[Told]:
        """One that begins forgets what a broken attempt wrote: the message with this id is begun anew."""
        if body["begins"]:
            yield self._message("message-start", role="ai", metadata={"langgraph_node": "answer"})
            yield self._message("content-block-start", index=0, content={"type": "text", "text": ""})
        yield self._message("content-block-delta", index=0, delta={"type": "text-delta", "text": body["text"]})

    def _answered(self, answer: dict[str, Any]) -> Iterator[Told]:
        whole = self.talk.ai(self.run_id, answer["text"])
        yield self._message("content-block-finish", index=0, content={"type": "text", "text": answer["text"]})
        yield self._message("message-finish")
        yield update("answer", {"messages": [whole], "answer": answer})
        yield told("values", (), self.talk.values(answer=answer))

    def _message(self, event: str, **more: Any) -> Told:
        return told("messages", (), {"event": event, "id": f"answer-{self.run_id}", **more})


def update(node: str, values: dict[str, Any]) -> Told:
    channel, method, namespace, data, _ = told("updates", (), values)
    return channel, method, namespace, data, f',"node":{orjson.dumps(node).decode()}'


def _tool_ended(body: dict[str, Any]) -> dict[str, Any]:
    if body["ok"]:
        return {"event": "tool-finished", "tool_call_id": body["call_id"], "output": body["content"]}
    return {"event": "tool-error", "tool_call_id": body["call_id"], "message": body["content"]}
