"""What `trireme logs` shows of the log, line by line."""

from datetime import UTC, datetime

from graph.events import ModelFailed, RunEvent
from serving.cli.lines import line_of


def test_a_reply_that_could_not_be_used_is_a_line_with_its_reason_and_price() -> None:
    failed = ModelFailed(role="planner", code="bad_reply", input_tokens=1_200, output_tokens=34)
    event = RunEvent(seq=3, at=datetime.now(UTC), body=failed).model_dump(mode="json")
    line = line_of({**event, **event.pop("body")})
    assert line is not None
    assert line.plain == "model     planner: bad_reply: a reply of 1,234 tokens can't be used"
