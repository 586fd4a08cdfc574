"""A run's log as the LangGraph SDK reads it: `metadata`, then by mode what the graph streamed, and how it failed."""

import re
from dataclasses import dataclass
from typing import Final

import orjson

from serving.api.event_id import event_id
from serving.database import Row
from serving.runs.view import is_settled

_PART: Final = re.compile(r'\{"kind":"stream_part","event":("(?:[^"\\]|\\.)*"),"data":(.*)\}', re.DOTALL)
# What a mode is called on the wire, when it isn't by its own name.
_EVENTS: Final = {
    "messages-tuple": ("messages",),
    "messages": ("messages/metadata", "messages/partial", "messages/complete"),
}


@dataclass(frozen=True)
class SdkFraming:
    """Of one run; `events` are the names, without a namespace, that the reader wants."""

    run_id: str
    events: frozenset[str]

    def __call__(self, row: Row, body: str) -> str:
        match row["kind"]:
            case "stream_part":
                return self._part(row["seq"], body)
            case "run_created":
                return self._metadata(row["seq"], 1)
            case "run_resumed":
                return self._metadata(row["seq"], 1)
            case "run_claimed":
                attempt = orjson.loads(body)["attempt"]
                return self._metadata(row["seq"], attempt) if attempt > 1 else ""
            case "run_finished":
                return self._error(row["seq"], body)
        return ""

    def ends(self, status: str) -> bool:
        """A run of the agent that waits for a person goes on as another stream."""
        return is_settled(status)

    def _part(self, seq: int, body: str) -> str:
        event, data = part_of(body)
        return self.message(seq, event, data) if event.partition("|")[0] in self.events else ""

    def _metadata(self, seq: int, attempt: int) -> str:
        return self.message(seq, "metadata", f'{{"run_id":"{self.run_id}","attempt":{attempt}}}')

    def _error(self, seq: int, body: str) -> str:
        end = orjson.loads(body)
        if end["status"] in ("success", "cancelled"):
            return ""
        error = {"error": end["code"], "message": end["message"]}
        return self.message(seq, "error", orjson.dumps(error).decode())

    def message(self, seq: int, event: str, data: str) -> str:
        name = event.replace("\n", " ").replace("\r", " ")
        return f"id: {event_id(seq, self.run_id)}\nevent: {name}\ndata: {data}\n\n"


def events_of(modes: tuple[str, ...]) -> frozenset[str]:
    return frozenset(event for mode in modes for event in _EVENTS.get(mode, (mode,)))


def part_of(body: str) -> tuple[str, str]:
    """(event, its data as JSON text) of a `stream_part` line."""
    found = _PART.fullmatch(body)
    assert found, "serving/hosting/part_log.py writes it so"
    return orjson.loads(found[1]), found[2]


def without_id(frame: str) -> str:
    return frame.partition("\n")[2] if frame.startswith("id: ") else frame
