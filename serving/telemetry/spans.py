"""A run's log as the spans of one trace: a pure function, so exporting again sends the same ids.

The trace id is the run's own UUID and a span's id a hash of the event that opened it: interrupt, resume, crash and
re-export all meet in one trace. Imports the OpenTelemetry SDK: only `export` loads this, where it needs it.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import Status, StatusCode

from graph import events as log
from graph.events import RunEvent
from serving.telemetry import attributes as names
from serving.telemetry.draft import SERVICE, Draft, as_json, cut, nanoseconds, seal

# Events that become points on the root span, with the fields that say something without quoting anybody.
_POINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "run_claimed": ("worker", "fence", "attempt"),
    "run_handed_over": ("worker", "fence"),
    "memory_recalled": (),
    "memory_proposed": (),
    "plan_edited": (),
    "effect_unknown": ("tool", "round"),
    "effect_decided": ("decision",),
    "bound_reached": ("bound", "limit", "used"),
    "noted": ("code",),
    "cancel_requested": (),
    "run_forked": ("run_id", "seq"),
    "bounds_changed": (),
    "pause_requested": (),
    "run_paused": (),
    "run_interrupted": (),
    "run_resumed": (),
}


@dataclass(frozen=True, slots=True)
class RunHeader:
    """The run row beside its log. `run_id` is a UUID; `channel` is where the run came from, "" when unknown."""

    run_id: str
    thread_id: str
    status: str
    created_at: datetime
    finished_at: datetime
    channel: str = ""


def spans_of(
    run: RunHeader, events: Sequence[RunEvent], *, content: bool = True, version: str = ""
) -> list[ReadableSpan]:
    """The trace of a finished run, root first, then by start; times are the log's.

    With `content` the redacted goal, answers, tool arguments and results go along, each cut at draft.CONTENT_BYTES.
    """
    trace = _Trace(run, content)
    for event in events:
        trace.take(event)
    trace.close(max(nanoseconds(at) for at in (run.finished_at, *(event.at for event in events))))
    tags = [run.status, *([run.channel] if run.channel else [])]
    shared = {names.CONVERSATION: run.thread_id, names.SESSION: run.thread_id, names.RUN_ID: run.run_id}
    return seal(trace.drafts, run.run_id, version, {**shared, names.TRACE_NAME: SERVICE, names.TRACE_TAGS: tags})


class _Trace:
    """Folds the log, event by event, into drafts."""

    def __init__(self, run: RunHeader, content: bool) -> None:
        attributes = {names.OPERATION: "invoke_agent", names.AGENT_NAME: SERVICE, names.RUN_STATUS: run.status}
        self._root = Draft(f"invoke_agent {SERVICE}", 0, nanoseconds(run.created_at), attributes=attributes)
        self._open: dict[Hashable, Draft] = {}
        self._content = content
        self.drafts = [self._root]

    def take(self, event: RunEvent) -> None:
        match event.body:
            case log.RunCreated() as body:
                self._root.attributes |= self._said(names.OBSERVATION_INPUT, body.goal)
            case log.ModelCalled() as body:
                self._chat(event, body)
            case log.PlanProposed() as body:
                self._plan_proposed(event, body)
            case log.StepStarted() | log.StepFinished() as body:
                self._step(event, body)
            case log.ToolStarted() | log.ToolFinished() as body:
                self._tool(event, body)
            case log.ApprovalRequested() | log.ApprovalDecided() as body:
                self._approval(event, body)
            case log.VerdictGiven() as body:
                self._verdict(event, body)
            case log.AnswerWritten() as body:
                self._root.attributes[names.ANSWER_PARTIAL] = body.answer.partial
                self._root.attributes |= self._said(names.OBSERVATION_OUTPUT, body.answer.text)
            case log.RunFinished() as body:
                self._run_finished(body)
            case body if body.kind in _POINTS:
                self._point(event, {field: getattr(body, field) for field in _POINTS[body.kind]})

    def close(self, end: int) -> None:
        for draft in self._open.values():
            draft.end = end
            draft.fail("unfinished", "not finished when the run ended")
        self._root.end = end

    def _begin(self, key: Hashable, name: str, event: RunEvent, attributes: dict[str, Any], **more: Any) -> Draft:
        """The open draft under `key`; what starts again after a take-over goes on with the first one."""
        if key not in self._open:
            more = {"start": nanoseconds(event.at), "parent": self._root, **more}
            self._open[key] = Draft(name, event.seq, attributes=attributes, **more)
            self.drafts.append(self._open[key])
        return self._open[key]

    def _end(self, key: Hashable, event: RunEvent) -> Draft | None:
        if draft := self._open.pop(key, None):
            draft.end = nanoseconds(event.at)
        return draft

    def _chat(self, event: RunEvent, body: log.ModelCalled) -> None:
        # The log says when the reply came and how long it took; two machines' clocks may disagree a little.
        start = max(nanoseconds(event.at) - round(body.duration_ms * 1e6), self._root.start)
        parent = self._planning(event, start) if body.role == "planner" else self._step_or_root(body.step_id)
        chat = Draft(f"chat {body.model}", event.seq, max(start, parent.start), parent, nanoseconds(event.at))
        chat.kind = SpanKind.CLIENT
        chat.attributes = _usage(body)
        if self._content:
            chat.attributes[names.OUTPUT_MESSAGES] = _messages(body)
        self.drafts.append(chat)

    def _planning(self, event: RunEvent, start: int) -> Draft:
        attributes = {names.OPERATION: "plan", names.AGENT_NAME: SERVICE, names.OBSERVATION_TYPE: "chain"}
        return self._begin("plan", "plan", event, attributes, start=start)

    def _plan_proposed(self, event: RunEvent, body: log.PlanProposed) -> None:
        plan = self._planning(event, nanoseconds(event.at))
        self._end("plan", event)
        plan.attributes[names.ROUND] = body.round
        plan.attributes |= self._said(names.OBSERVATION_OUTPUT, body.plan.model_dump_json())

    def _step_or_root(self, step_id: str) -> Draft:
        return self._open.get(("step", step_id), self._root)

    def _step(self, event: RunEvent, body: log.StepStarted | log.StepFinished) -> None:
        if isinstance(body, log.StepStarted):
            attributes = {names.OBSERVATION_TYPE: "chain", names.STEP_ID: body.step_id, names.ATTEMPT: body.attempt}
            attributes |= self._said(names.OBSERVATION_INPUT, body.goal)
            self._begin(("step", body.step_id), f"step {body.step_id}", event, attributes)
        elif step := self._end(("step", body.outcome.step_id), event):
            step.attributes[names.STEP_STATUS] = body.outcome.status
            step.attributes |= self._said(names.OBSERVATION_OUTPUT, body.outcome.finding)
            if body.outcome.status == "failed":
                step.fail("step_failed", self._quoted(body.outcome.finding))

    def _tool(self, event: RunEvent, body: log.ToolStarted | log.ToolFinished) -> None:
        key = ("tool", body.step_id, body.attempt, body.call_id)
        if isinstance(body, log.ToolStarted):
            attributes = {names.OPERATION: "execute_tool", names.TOOL_NAME: body.tool, names.TOOL_CALL_ID: body.call_id}
            attributes |= self._said(names.TOOL_ARGUMENTS, as_json(body.arguments))
            parent = self._step_or_root(body.step_id)
            self._begin(key, f"execute_tool {body.tool}", event, attributes, parent=parent)
        elif tool := self._end(key, event):
            tool.attributes |= self._said(names.TOOL_RESULT, body.content)
            if not body.ok:
                tool.fail("tool_error", self._quoted(body.content))

    def _approval(self, event: RunEvent, body: log.ApprovalRequested | log.ApprovalDecided) -> None:
        key = ("approval", body.approval_id)
        if isinstance(body, log.ApprovalRequested):
            attributes: dict[str, Any] = {names.APPROVAL_KIND: body.approval_kind}
            attributes |= self._said(names.OBSERVATION_INPUT, as_json(body.arguments))
            self._begin(key, f"approval {body.name}", event, attributes)
        elif approval := self._end(key, event):
            # A rejection is a person's word, not an error.
            approval.status = Status(StatusCode.OK)
            approval.attributes[names.APPROVAL_DECISION] = body.decision

    def _verdict(self, event: RunEvent, body: log.VerdictGiven) -> None:
        said: dict[str, Any] = {"decision": body.verdict.decision, "round": body.round}
        if body.verdict.reasons:
            said |= self._said("reasons", "\n".join(body.verdict.reasons))
        self._point(event, said)

    def _run_finished(self, body: log.RunFinished) -> None:
        # A run that failed and was resumed ends twice: the last end counts.
        self._root.attributes[names.RUN_STATUS] = body.status
        self._root.attributes.pop(names.ERROR_TYPE, None)
        self._root.status = Status()
        if body.status in ("error", "timeout"):
            self._root.fail(body.code or body.status, self._quoted(body.message))

    def _point(self, event: RunEvent, said: dict[str, Any]) -> None:
        if isinstance(event.body, log.Noted):
            said |= self._said("message", event.body.message)
        values = {names.EVENT_PREFIX + key: value for key, value in said.items()}
        self._root.points.append(Event(event.body.kind, values, nanoseconds(event.at)))

    def _said(self, key: str, text: str) -> dict[str, Any]:
        return {key: cut(text)} if self._content else {}

    def _quoted(self, text: str) -> str:
        return cut(text) if self._content else ""


def _usage(body: log.ModelCalled) -> dict[str, Any]:
    # Langfuse's versions differ in whether cached tokens are taken out of the input; usage_details leaves no doubt.
    cached = min(body.cached_tokens, body.input_tokens)
    details = {"input": body.input_tokens - cached, "input_cached_tokens": cached, "output": body.output_tokens}
    return {
        names.OPERATION: "chat",
        names.PROVIDER: names.provider_of(body.model),
        names.REQUEST_MODEL: body.model,
        names.INPUT_TOKENS: body.input_tokens,
        names.OUTPUT_TOKENS: body.output_tokens,
        names.CACHED_TOKENS: body.cached_tokens,
        names.USAGE_DETAILS: as_json(details),
        names.COST_DETAILS: as_json({"total": body.cost_usd}),
        names.PROMPT_ROLE: body.role,
        names.PROMPT_VERSION: body.prompt_version,
    }


def _messages(body: log.ModelCalled) -> str:
    """The reply as the conventions' JSON; arguments travel with the tool's own span, so only the names are here."""
    parts: list[dict[str, Any]] = [{"type": "text", "content": cut(body.text)}] if body.text else []
    parts += [{"type": "tool_call", "id": call.get("id", ""), "name": call.get("name", "")} for call in body.tool_calls]
    reason = "tool_call" if body.tool_calls else "stop"
    return as_json([{"role": "assistant", "parts": parts, "finish_reason": reason}])
