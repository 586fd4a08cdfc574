"""What `trireme logs` shows of the log, line by line."""

from datetime import UTC, datetime

from graph.events import ModelFailed, RunEvent
from serving.cli.lines import line_of
from serving.cli.printable import printable


def test_a_reply_that_could_not_be_used_is_a_line_with_its_reason_and_price() -> None:
    failed = ModelFailed(role="planner", code="bad_reply", input_tokens=1_200, output_tokens=34)
    event = RunEvent(seq=3, at=datetime.now(UTC), body=failed).model_dump(mode="json")
    line = line_of({**event, **event.pop("body")})
    assert line is not None
    assert line.plain == "model     planner: bad_reply: a reply of 1,234 tokens can't be used"


def test_what_a_model_or_a_file_name_says_does_not_command_the_terminal() -> None:
    told = {"to": "a@example.com\rb@example.com", "files": ["\x1b[2Kx.md", "\u202egnp.md"], "amount": 3}
    shown = {"to": "a@example.com\ufffdb@example.com", "files": ["\ufffd[2Kx.md", "\ufffdgnp.md"], "amount": 3}
    assert printable(told) == shown
    assert printable("two\r\nlines,\ta tab, äöü €") == "two\r\nlines,\ta tab, äöü €"
