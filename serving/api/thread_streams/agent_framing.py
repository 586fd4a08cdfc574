"""Planner, worker and critic's log as events of the protocol: its talk, its steps, its tools, its questions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.api.sdk.agent import agent_framing
from serving.api.sdk.agent_framing import NODES, AgentFraming
from serving.api.sdk.agent_messages import ai, answer_id
from serving.api.sdk.growing import Growing
from serving.api.thread_streams.agent_messages import grows, written
from serving.api.thread_streams.framing import EventFraming, Told, question, told, update
from serving.api.thread_streams.subscription import Subscription
from serving.database import Row
from serving.hosting.config import AGENT
from serving.services import ApiServices
from serving.threads.places import read_up_to


async def agent_events(
    services: ApiServices, row: Row, wanted: Subscription, heard: int, *, plain: bool
) -> "AgentEvents":
    run_id, thread_id = str(row["run_id"]), str(row["thread_id"])
    talk = await agent_framing(services, row, (), 0)
    told = await Growing.behind(services, run_id, read_up_to(heard)) if "messages" in wanted.channels else None
    return AgentEvents(run_id, thread_id, AGENT, row["place"], wanted, heard, plain, talk=talk, growing=told)


@dataclass(frozen=True)
class AgentEvents(EventFraming):
    """`talk` knows the messages up to this run's goal; `growing` is the reader's own, if it is told of messages: those
    without one share what is made for them. So what grows has numbers of its own, before those of all else."""

    talk: AgentFraming = field(kw_only=True)
    growing: Growing | None = field(kw_only=True)

    def numbered(self, kind: str, line: int, body: str) -> Iterator[tuple[int, int, Told]]:
        if self.growing and (grown := self.growing.take(line, kind, orjson.loads(body))):
            yield from ((0, number, each) for number, each in enumerate(grows(grown, self.run_id)))
        yield from ((1, number, each) for number, each in enumerate(self.tells(kind, body)))

    def tells(self, kind: str, body: str) -> Iterator[Told]:
        given = orjson.loads(body)
        yield from self._said(kind, given)
        if kind in NODES:
            node, name = NODES[kind]
            yield update(node, {name: given[name]})
        payload = {name: value for name, value in given.items() if name != "kind"}
        data = orjson.dumps({"name": kind, "payload": payload}).decode()
        yield f"custom:{kind}", "custom", (), data, ""
        # One that takes a run over goes on with it: for clients, a run that begins forgets what was being written.
        if kind != "run_claimed" or given["attempt"] == 1:
            yield from super().tells(kind, body)

    def _said(self, kind: str, body: dict[str, Any]) -> Iterator[Told]:
        match kind:
            case "run_created":
                yield told("values", (), self.talk.values())
            case "answer_written":
                yield from self._answered(body["answer"])
            case "approval_requested" | "effect_unknown":
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

    def _answered(self, answer: dict[str, Any]) -> Iterator[Told]:
        whole = ai(answer_id(self.run_id), answer["text"])
        yield from written(self.run_id, answer["text"])
        yield update("answer", {"messages": [whole], "answer": answer})
        yield told("values", (), self.talk.values(answer=answer))


def _tool_ended(body: dict[str, Any]) -> dict[str, Any]:
    if body["ok"]:
        return {"event": "tool-finished", "tool_call_id": body["call_id"], "output": body["content"]}
    return {"event": "tool-error", "tool_call_id": body["call_id"], "message": body["content"]}
