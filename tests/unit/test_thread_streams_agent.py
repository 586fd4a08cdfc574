"""The agent's log as events: who isn't told of what grows shares a framing, and is told the same as before."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from serving.api.sdk.agent_framing import AgentFraming
from serving.api.sdk.growing import Growing
from serving.api.thread_streams.agent_framing import BESIDE, AgentEvents
from serving.api.thread_streams.subscription import CHANNELS, Subscription

STEP = {"step_id": "s1", "attempt": 1}
CALL = {"id": "c", "name": "search", "arguments": {"q": "tea"}}
LINES: list[tuple[str, dict[str, Any]]] = [
    ("run_created", {}),
    ("run_claimed", {"attempt": 1}),
    (
        "tool_call_delta",
        {**STEP, "call_id": "c", "tool": "search", "text": '{"q": "tea"}', "closes": "", "begins": True},
    ),
    ("model_called", {**STEP, "tool_calls": [CALL]}),
    ("tool_started", {**STEP, "call_id": "c", "tool": "search", "arguments": {"q": "tea"}}),
    ("tool_finished", {**STEP, "call_id": "c", "ok": True, "content": "green"}),
    ("answer_delta", {"text": "Green", "begins": True}),
    ("answer_written", {"answer": {"text": "Green tea."}}),
    ("run_finished", {"status": "success", "message": "", "code": ""}),
]
SHARED = sorted((CHANNELS | {"custom:tool_started"}) - BESIDE)


def events(wanted: Subscription, growing: Growing | None) -> AgentEvents:
    talk = AgentFraming("r", frozenset(), "t", "[]")
    return AgentEvents("r", "t", "agent", 1, wanted, talk=talk, growing=growing)


def told(framing: AgentEvents) -> list[str]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        framing({"seq": seq, "kind": kind, "at": at}, orjson.dumps({"kind": kind, **body}).decode())
        for seq, (kind, body) in enumerate(LINES, 1)
    ]


@pytest.mark.parametrize("channel", SHARED)
def test_who_is_told_of_nothing_that_grows_shares_a_framing_and_misses_nothing(channel: str) -> None:
    wanted = Subscription(frozenset({channel}))
    one, other = events(wanted, None), events(wanted, None)
    assert {one} == {other}
    assert told(one) == told(events(wanted, Growing()))


def test_who_is_told_of_messages_has_a_framing_of_its_own() -> None:
    wanted = Subscription(frozenset({"messages"}))
    assert events(wanted, Growing()) != events(wanted, Growing())
    assert told(events(wanted, Growing())) != told(events(wanted, None))
