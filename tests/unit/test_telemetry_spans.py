import json
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from graph.events import RunEvent, RunFinished
from serving.telemetry.attributes import provider_of
from serving.telemetry.draft import CONTENT_BYTES, cut
from serving.telemetry.spans import RunHeader, spans_of
from tests.unit.telemetry_story import BEGAN, MODEL, RUN_ID, THREAD_ID, TICK, story

RUN = RunHeader(RUN_ID, THREAD_ID, "success", BEGAN, BEGAN + 25 * TICK, "cli")


def by_name(spans: list[ReadableSpan]) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans}


def attribute(span: ReadableSpan, key: str) -> Any:
    return (span.attributes or {})[key]


def parent_name(spans: list[ReadableSpan], name: str) -> str:
    parent = by_name(spans)[name].parent
    assert parent
    return next(span.name for span in spans if span.context and span.context.span_id == parent.span_id)


def nanoseconds(tick: int) -> int:
    at = BEGAN + tick * TICK
    return int(at.replace(microsecond=0).timestamp()) * 10**9 + at.microsecond * 1000


def test_the_trace_id_is_the_run_id_and_every_span_has_its_own_id() -> None:
    spans = spans_of(RUN, story())
    assert {span.context.trace_id for span in spans if span.context} == {uuid.UUID(RUN_ID).int}
    assert len({span.context.span_id for span in spans if span.context}) == len(spans) == 11


def test_the_same_log_gives_the_same_ids_and_a_longer_one_keeps_them() -> None:
    def ids(events: list[RunEvent]) -> set[int]:
        return {span.context.span_id for span in spans_of(RUN, events) if span.context}

    assert ids(story()) == ids(story())
    assert ids(story()[:12]) < ids(story())


def test_spans_hang_where_the_work_was_done() -> None:
    spans = spans_of(RUN, story())
    assert spans[0].name == "invoke_agent trireme"
    assert spans[0].parent is None
    assert parent_name(spans, "plan") == "invoke_agent trireme"
    assert parent_name(spans, "step s2") == "invoke_agent trireme"
    assert parent_name(spans, "execute_tool search_documents") == "step s1"
    assert parent_name(spans, "execute_tool send_email") == "step s2"
    assert parent_name(spans, "approval send_email") == "invoke_agent trireme"
    chats = [span for span in spans if span.name == f"chat {MODEL}"]
    names = {span.context.span_id: span.name for span in spans if span.context}
    parents = [names[span.parent.span_id] for span in chats if span.parent]
    assert parents == ["plan", "step s1", "invoke_agent trireme", "invoke_agent trireme"]


def test_times_are_the_logs_to_the_microsecond() -> None:
    spans = by_name(spans_of(RUN, story()))
    step, root = spans["step s1"], spans["invoke_agent trireme"]
    assert (root.start_time, root.end_time) == (nanoseconds(0), nanoseconds(25))
    assert (step.start_time, step.end_time) == (nanoseconds(4), nanoseconds(9))
    plan = spans["plan"]
    assert (plan.start_time, plan.end_time) == (nanoseconds(2) - 100_000_000, nanoseconds(3))


def test_a_tool_that_another_worker_finished_is_one_span_over_both_and_the_claims_are_points_on_the_root() -> None:
    spans = by_name(spans_of(RUN, story()))
    tool = spans["execute_tool search_documents"]
    assert (tool.start_time, tool.end_time) == (nanoseconds(6), nanoseconds(8))
    claims = [point for point in spans["invoke_agent trireme"].events if point.name == "run_claimed"]
    assert [dict(point.attributes or {})["trireme.worker"] for point in claims] == ["one", "two", "two"]
    assert claims[1].timestamp == nanoseconds(7)


def test_a_model_call_carries_the_conventions_names_and_no_cached_token_twice() -> None:
    span = by_name(spans_of(RUN, story()))[f"chat {MODEL}"]
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 1_200,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.usage.cache_read.input_tokens": 960,
        "gen_ai.conversation.id": THREAD_ID,
        "session.id": THREAD_ID,
        "langfuse.trace.name": "trireme",
        "langfuse.observation.metadata.prompt_version": "3f2a9c1d",
    }
    assert expected.items() <= dict(span.attributes or {}).items()
    assert span.kind is SpanKind.CLIENT
    assert json.loads(attribute(span, "langfuse.observation.cost_details")) == {"total": 0.0021}
    usage = json.loads(attribute(span, "langfuse.observation.usage_details"))
    assert usage == {"input": 240, "input_cached_tokens": 960, "output": 40}


def test_every_span_names_the_session_and_the_trace_as_langfuse_asks() -> None:
    for span in spans_of(RUN, story()):
        assert attribute(span, "session.id") == THREAD_ID
        assert attribute(span, "langfuse.trace.name") == "trireme"
        assert list(attribute(span, "langfuse.trace.tags")) == ["success", "cli"]


def test_failures_are_errors_and_a_persons_decision_is_not() -> None:
    spans = by_name(spans_of(RUN, story()))
    assert spans["execute_tool send_email"].status.status_code is StatusCode.ERROR
    assert spans["step s2"].status.status_code is StatusCode.ERROR
    assert spans["approval send_email"].status.status_code is StatusCode.OK
    assert attribute(spans["approval send_email"], "trireme.approval.decision") == "approve"
    assert spans["step s1"].status.status_code is StatusCode.UNSET
    assert spans["invoke_agent trireme"].status.status_code is StatusCode.UNSET


def test_the_critics_verdict_is_a_point_on_the_root() -> None:
    root = spans_of(RUN, story())[0]
    verdict = next(point for point in root.events if point.name == "verdict_given")
    said = dict(verdict.attributes or {})
    assert said == {"trireme.decision": "accept", "trireme.round": 0, "trireme.reasons": "as good as it gets"}


def test_a_failed_run_says_its_code_and_what_was_under_way_is_closed_as_unfinished() -> None:
    ended = RunEvent(seq=7, at=BEGAN + 6 * TICK, body=RunFinished(status="error", code="model_refused", message="no"))
    spans = by_name(spans_of(replace(RUN, status="error"), [*story()[:6], ended]))
    root, step = spans["invoke_agent trireme"], spans["step s1"]
    assert root.status.status_code is StatusCode.ERROR
    assert attribute(root, "error.type") == "model_refused"
    assert attribute(step, "error.type") == "unfinished"
    assert step.end_time == root.end_time == nanoseconds(25)


def test_a_run_that_failed_was_resumed_and_succeeded_ends_well() -> None:
    failed = RunEvent(seq=1, at=BEGAN, body=RunFinished(status="error", code="model_unavailable", message="429"))
    root = spans_of(RUN, [failed, *story()])[0]
    assert root.status.status_code is StatusCode.UNSET
    assert "error.type" not in dict(root.attributes or {})


def test_without_content_no_word_of_the_goal_the_tools_or_the_answer_goes_along() -> None:
    told = " ".join(span.to_json() for span in spans_of(RUN, story(), content=False))
    assert "EMAIL_1" not in told
    assert "NAME_1" not in told
    assert "as good as it gets" not in told
    assert "EMAIL_1" in " ".join(span.to_json() for span in spans_of(RUN, story()))


def test_who_decided_is_left_to_the_log() -> None:
    assert "sam" not in " ".join(span.to_json() for span in spans_of(RUN, story()))


def test_long_content_is_cut_within_the_limit_and_never_inside_a_character() -> None:
    assert cut("short") == "short"
    long = cut("ü" * CONTENT_BYTES)
    assert len(long.encode()) <= CONTENT_BYTES
    assert long.endswith("ü [cut]")


def test_a_log_without_a_plan_still_makes_a_trace() -> None:
    spans = spans_of(replace(RUN, finished_at=BEGAN + timedelta(seconds=9)), [])
    assert [span.name for span in spans] == ["invoke_agent trireme"]
    assert (spans[0].start_time, spans[0].end_time) == (nanoseconds(0), nanoseconds(0) + 9 * 10**9)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("anthropic/claude-sonnet-5-5", "anthropic"),
        ("gemini/gemini-3.8-flash", "gcp.gemini"),
        ("hosted_vllm/some/model", "hosted_vllm"),
        ("gpt-6.1-sol", "openai"),
        ("offline", "offline"),
    ],
)
def test_providers_have_the_conventions_names(model: str, provider: str) -> None:
    assert provider_of(model) == provider
