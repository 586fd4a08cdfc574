"""A model whose every reply is written down in the test: how a run meets a stubborn, lying, slow or broken model."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel

from graph.errors import BadReply
from graph.ports import Message, ModelCall, ModelReply, OnPiece, StepTask, ToolCall, Usage
from privacy.redact import from_record
from serving.models.structured import Unparsable, parse

Turn = Callable[[ModelCall], Awaitable[ModelReply]]
TOKENS = 100
"""What every call of a scripted model uses, in tokens: 90 in, of these 30 cached, and 10 out."""


def spoken(text: str, *calls: ToolCall, parsed: BaseModel | dict[str, Any] | None = None) -> ModelReply:
    usage = Usage(input_tokens=90, output_tokens=10, cached_tokens=30)
    return ModelReply(from_record(text), "scripted", usage, calls, parsed)


def says(text: str) -> Turn:
    async def turn(call: ModelCall) -> ModelReply:
        return spoken(text)

    return turn


def replies(value: Any) -> Turn:
    """The reply as JSON text, read as the gateway reads it."""

    async def turn(call: ModelCall) -> ModelReply:
        return structured(call, value)

    return turn


def structured(call: ModelCall, value: Any) -> ModelReply:
    assert call.reply is not None
    text = orjson.dumps(value).decode()
    try:
        return spoken(text, parsed=parse(text, call.reply))
    except Unparsable as problem:
        raise BadReply(f"the {call.task.role}'s reply can't be read: {problem}") from None


def plans(*steps: str) -> Turn:
    """`s1`, or `s3<s1,s2` for a step that builds on others."""
    return replies({"steps": [_step(*step.partition("<")) for step in steps]})


def _step(id_: str, _: str, needs: str) -> dict[str, Any]:
    depends_on = needs.split(",") if needs else []
    return {"id": id_, "goal": f"Find part {id_}", "depends_on": depends_on, "done_when": f"part {id_} is found"}


def rules(*verdicts: dict[str, Any]) -> Turn:
    """The critic: one verdict a round, the last one for all that follow."""

    async def turn(call: ModelCall) -> ModelReply:
        round_: int = getattr(call.task, "round", 0)
        return structured(call, verdicts[min(round_, len(verdicts) - 1)])

    return turn


ACCEPT: dict[str, Any] = {"decision": "accept", "reasons": ["all is found"]}
REPLAN: dict[str, Any] = {"decision": "replan", "reasons": ["a part of the goal is missing"]}


def revise(*steps: str) -> dict[str, Any]:
    return {"decision": "revise", "reasons": ["more is needed"], "revise": {id_: f"look again, {id_}" for id_ in steps}}


async def finds_and_reports(call: ModelCall) -> ModelReply:
    """A good worker: one `lookup`, then `report` with the refs that came back."""
    assert isinstance(call.task, StepTask)
    step = call.task.step.id
    if not tool_results(call):
        return spoken("", tool_call(call, "lookup", query=f"{step}{call.task.feedback}"))
    refs = [source["ref"] for result in tool_results(call) for source in result.get("found", ())]
    return spoken("", tool_call(call, "report", status="done", finding=f"{step} is 42", sources=refs))


def tool_call(call: ModelCall, name: str, /, **arguments: Any) -> ToolCall:
    """Ids as providers make them: unlike in every reply."""
    step = call.task.step.id if isinstance(call.task, StepTask) else ""
    turn = sum(message.role == "assistant" for message in call.transcript)
    feedback = bool(call.task.feedback) if isinstance(call.task, StepTask) else False
    return ToolCall(id=f"{name}-{step}-{feedback}-{turn}", name=name, arguments=arguments)


def tool_results(call: ModelCall) -> list[dict[str, Any]]:
    return [orjson.loads(str(message.content)) for message in call.transcript if message.role == "tool"]


def after(seconds: float, then: Turn) -> Turn:
    async def turn(call: ModelCall) -> ModelReply:
        await asyncio.sleep(seconds)
        return await then(call)

    return turn


def fails(error: Exception) -> Turn:
    async def turn(call: ModelCall) -> ModelReply:
        raise error

    return turn


@dataclass
class ScriptedModels:
    """Port `Models`. `calls` is everything it was asked, in order; `price` is what a call is estimated at and costs."""

    planner: Turn = field(default_factory=lambda: plans("s1"))
    worker: Turn = finds_and_reports
    critic: Turn = field(default_factory=lambda: rules(ACCEPT))
    writer: Turn = field(default_factory=lambda: says("It is 42 [1]."))
    price: float = 0.0
    calls: list[ModelCall] = field(default_factory=list)

    def estimate(self, call: ModelCall) -> float:
        return self.price

    async def complete(self, call: ModelCall, on_piece: OnPiece | None = None) -> ModelReply:
        self.calls.append(call)
        turns = {"planner": self.planner, "worker": self.worker, "critic": self.critic, "writer": self.writer}
        reply = await turns[call.task.role](call)
        for word in reply.text.split() if on_piece else ():
            assert on_piece is not None
            await on_piece(word + " ")
        usage = reply.usage.model_copy(update={"cost_usd": self.price})
        return ModelReply(reply.text, reply.model, usage, reply.tool_calls, reply.parsed)

    def by(self, role: str) -> list[ModelCall]:
        return [call for call in self.calls if call.task.role == role]


def which(call: ModelCall) -> str:
    """The same text for the same turn of a run, whatever attempt makes it."""
    if isinstance(call.task, StepTask):
        turn = sum(message.role == "assistant" for message in call.transcript)
        known = [(outcome.step_id, outcome.attempt) for outcome in call.task.known]
        return f"worker {call.task.step.id} {known} {call.task.feedback} {turn}"
    return f"{call.task.role} {getattr(call.task, 'round', '')}{getattr(call.task, 'feedback', '')}"


def written(messages: tuple[Message, ...]) -> bytes:
    """A prompt as bytes: what a prefix cache sees."""
    return orjson.dumps(
        [[m.role, str(m.content), [c.model_dump() for c in m.tool_calls], m.tool_call_id] for m in messages]
    )


class Gate:
    """A turn that stands still until the test opens it, and then goes on as `then`."""

    def __init__(self, then: Turn = finds_and_reports) -> None:
        self._open, self._then = asyncio.Event(), then
        self.reached = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, call: ModelCall) -> ModelReply:
        self.reached.set()
        await self._open.wait()
        return await self._then(call)
