"""The agent's log as events: who isn't told of what grows shares a framing, and is told the same as before."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from serving.api.sdk.agent_framing import AgentFraming
from serving.api.sdk.growing import Growing
from serving.api.thread_streams.agent_framing import AgentEvents
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
SHARED = sorted((CHANNELS | {"custom:tool_started", "custom:model_called"}) - {"messages"})


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


def test_of_a_line_that_tells_more_than_it_has_numbers_nothing_is_lost() -> None:
    """A cut may come between any two of them: who comes with the last number that it has is told the rest."""
    calls = [{**CALL, "id": f"c{at}"} for at in range(700)]
    begun = {**STEP, "tool": "search", "text": "{}", "closes": "", "begins": False}
    lines = [*(("tool_call_delta", {**begun, "call_id": call["id"]}) for call in calls)]
    lines.append(("model_called", {**STEP, "tool_calls": calls}))
    wanted = Subscription(frozenset({"messages", "custom"}))
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def of_the_last(heard: int) -> list[dict[str, Any]]:
        framing = AgentEvents(
            "r",
            "t",
            "agent",
            1,
            wanted,
            heard,
            plain=True,
            talk=AgentFraming("r", frozenset(), "t", "[]"),
            growing=Growing(),
        )
        text = ""
        for seq, (kind, body) in enumerate(lines, 1):
            text = framing({"seq": seq, "kind": kind, "at": at}, orjson.dumps({"kind": kind, **body}).decode())
        return [orjson.loads(event) for event in text.splitlines()]

    whole = of_the_last(-1)
    assert len({event["event_id"] for event in whole}) == len(whole) == 702
    assert [event["seq"] for event in whole] == sorted(event["seq"] for event in whole)
    for cut in (1, 400, 511, 512, 600, 701):
        came = whole[:cut]
        rest = of_the_last(came[-1]["seq"])
        assert {event["event_id"] for event in came + rest} == {event["event_id"] for event in whole}, cut
        assert len(came) + len(rest) == len(whole) or cut >= 512, "told again are those alone that share a number"


def test_what_became_of_an_effect_is_asked_like_an_approval() -> None:
    unknown = {"key": "k1", "step_id": "s1", "tool": "mail", "arguments": {"to": "x"}, "reason": "cut", "round": 1}
    wanted = Subscription(frozenset({"input", "values"}))
    line = {"seq": 1, "kind": "effect_unknown", "at": datetime(2026, 1, 1, tzinfo=UTC)}
    text = events(wanted, None)(line, orjson.dumps({"kind": "effect_unknown", **unknown}).decode())
    frames = [orjson.loads(row[6:])["params"]["data"] for row in text.splitlines() if row.startswith("data: ")]
    (values,), (question,) = [[each for each in frames if name in each] for name in ("__interrupt__", "interrupt_id")]
    assert values["__interrupt__"] == [{"id": "k1", "value": question["payload"]}]
    assert question["interrupt_id"] == "k1"
    assert question["payload"]["action_requests"][0]["args"] == {"to": "x"}
