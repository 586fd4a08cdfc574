"""What a repeated node reads from the log: where it was, and what it must not do again."""

from datetime import UTC, datetime
from typing import Any

from graph.events import BoundReached, EventBody, ModelCalled, RunEvent, ToolFinished, ToolStarted
from graph.ports import ToolCall
from graph.transcript import StepTranscript, stopped_by


def log(*bodies: EventBody) -> list[RunEvent]:
    return [RunEvent(seq=seq, at=datetime.now(UTC), body=body) for seq, body in enumerate(bodies, 1)]


def reply(*ids: str, step_id: str = "s1", attempt: int = 1, text: str = "") -> ModelCalled:
    calls = tuple({"id": id_, "name": "lookup", "arguments": {"query": "x"}} for id_ in ids)
    return ModelCalled(role="worker", step_id=step_id, attempt=attempt, model="m", text=text, tool_calls=calls)


def started(id_: str, **arguments: Any) -> ToolStarted:
    return ToolStarted(step_id="s1", attempt=1, call_id=id_, tool="lookup", arguments=arguments)


def finished(id_: str) -> ToolFinished:
    return ToolFinished(
        step_id="s1", attempt=1, call_id=id_, tool="lookup", ok=True, content=f"found {id_}", duration_ms=1
    )


def of(*bodies: EventBody) -> StepTranscript:
    return StepTranscript(log(*bodies), "s1", 1)


def waiting(transcript: StepTranscript) -> str | None:
    call = transcript.waiting()
    return call.id if call else None


def test_a_step_that_has_not_begun_waits_for_nothing() -> None:
    assert waiting(of()) is None
    assert of().last_words() is None
    assert of().messages() == ()


def test_the_calls_of_the_newest_reply_wait_in_their_order() -> None:
    assert waiting(of(reply("a", "b"))) == "a"
    assert waiting(of(reply("a", "b"), started("a"))) == "a", "begun, and never heard of again"
    assert waiting(of(reply("a", "b"), finished("a"))) == "b"
    assert waiting(of(reply("a", "b"), finished("b"))) == "a"
    assert waiting(of(reply("a", "b"), finished("a"), finished("b"))) is None


def test_words_end_the_step_only_when_they_are_the_newest_reply() -> None:
    assert of(reply(text="It is 42.")).last_words() == "It is 42."
    assert of(reply(text="")).last_words() == ""
    assert of(reply(text="Let me look"), reply("a")).last_words() is None


def test_other_steps_and_other_attempts_are_not_mine() -> None:
    assert of(reply("a", step_id="s2"), reply("b", attempt=2)).replies == []


def test_messages_pair_each_call_with_its_result_and_leave_out_what_has_none() -> None:
    made = of(reply("a", "b"), finished("b"), reply("c")).messages()
    assert [(m.role, m.tool_call_id) for m in made] == [("assistant", None), ("tool", "b"), ("assistant", None)]
    assert [call.id for call in made[0].tool_calls] == ["a", "b"]


def test_the_same_call_is_the_same_tool_with_the_same_arguments() -> None:
    done = of(started("a", query="x", limit=3), started("b", limit=3, query="x"), started("c", query="y"))
    assert done.times_called(ToolCall(id="d", name="lookup", arguments={"query": "x", "limit": 3})) == 2
    assert done.times_called(ToolCall(id="d", name="other", arguments={"query": "x", "limit": 3})) == 0


def test_a_loop_that_was_broken_does_not_stop_the_run() -> None:
    assert stopped_by(log(BoundReached(bound="repeated_call", limit=3, used=3))) == ""
    said = stopped_by(log(BoundReached(bound="model_calls", limit=60, used=60)))
    assert said == "the limit of 60 model_calls was reached"
