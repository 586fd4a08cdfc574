"""The agent's messages as they are written, for one reader: what each line of the log tells of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, LiteralString

import orjson

from serving.database import fetch_all
from serving.services import ApiServices

Body = dict[str, Any]
Line = tuple[int, str, Body]
KINDS: Final = ("answer_delta", "answer_written", "tool_call_delta", "model_called")
_LINES: LiteralString = """
select seq, kind, body::text from run_events where run_id = %s and seq <= %s and kind = any(%s) order by seq
"""


@dataclass(frozen=True, slots=True)
class Words:
    """More of the answer. `first`: a message begins; with `again` > 0 it takes the place of one that was told so far,
    for the `again`-th time. `last`: it is whole with that, which may be nothing more."""

    more: str
    whole: str
    first: bool
    again: int
    last: bool


@dataclass(slots=True)
class Call:
    id: str
    name: str
    text: str = ""
    closes: str = ""

    def shown(self) -> Body:
        """As LangChain has a tool's call, as far as it has come."""
        return {"name": self.name, "args": orjson.loads(self.text + self.closes), "id": self.id, "type": "tool_call"}


@dataclass(slots=True)
class Reply:
    """A step's reply that calls tools; `seq` is the line with which it began."""

    seq: int
    step_id: str
    attempt: int
    calls: list[Call] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Arguments:
    """More of a call's arguments. `first` of its reply; `broken` is one that the reply takes the place of."""

    reply: Reply
    index: int
    more: str
    first: bool
    broken: Reply | None


@dataclass(frozen=True, slots=True)
class Called:
    """The reply is whole."""

    reply: Reply


Grown = Words | Arguments | Called


class Growing:
    """An answer that an attempt after a kill writes again is silent until it has come as far; then it goes on. A line
    that is read again, since a page was made for a reader who couldn't take it, tells the same again."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines: list[Line] = []
        self._begin()
        for line in lines:
            self.take(*line)

    @property
    def again(self) -> int:
        """How often the answer has been begun anew."""
        return self._again

    @classmethod
    async def behind(cls, services: ApiServices, run_id: str, after: int) -> "Growing":
        """For a reader who has every line up to `after`."""
        if not after:
            return cls()
        rows = await fetch_all(services.pool, _LINES, (run_id, after, list(KINDS)))
        return cls([(row["seq"], row["kind"], await services.line(row["kind"], row["body"])) for row in rows])

    def take(self, seq: int, kind: str, body: Body) -> Grown | None:
        if kind not in KINDS:
            return None
        if self._lines and seq <= self._lines[-1][0]:
            earlier, self._lines = [line for line in self._lines if line[0] < seq], []
            self._begin()
            for line in earlier:
                self._take(*line)
        return self._take(seq, kind, body)

    def _begin(self) -> None:
        self._told = self._written = ""
        self._again = 0
        self._replies: dict[tuple[str, int], Reply] = {}

    def _take(self, seq: int, kind: str, body: Body) -> Grown | None:
        if kind == "model_called":
            body = {name: body[name] for name in ("step_id", "attempt", "tool_calls")}
        self._lines.append((seq, kind, body))
        match kind:
            case "answer_delta":
                self._written = body["text"] if body["begins"] else self._written + body["text"]
                return self._words(self._written)
            case "answer_written":
                return self._words(body["answer"]["text"], whole=True)
            case "tool_call_delta":
                return self._arguments(seq, body)
        return self._called(body)

    def _words(self, text: str, *, whole: bool = False) -> Words | None:
        if self._told.startswith(text) and not whole:
            return None
        goes_on = text.startswith(self._told)
        more, first = text[len(self._told) :] if goes_on else text, not (goes_on and self._told)
        self._told, self._again = text, self._again + (not goes_on)
        return Words(more, text, first, self._again, whole)

    def _arguments(self, seq: int, body: Body) -> Arguments:
        key = body["step_id"], body["attempt"]
        broken = self._replies.pop(key, None) if body["begins"] else None
        first = key not in self._replies
        reply = self._replies.setdefault(key, Reply(seq, *key))
        if body["call_id"] not in [call.id for call in reply.calls]:
            reply.calls.append(Call(body["call_id"], body["tool"]))
        index, call = next((at, call) for at, call in enumerate(reply.calls) if call.id == body["call_id"])
        call.text, call.closes = call.text + body["text"], body["closes"]
        return Arguments(reply, index, body["text"], first, broken)

    def _called(self, body: Body) -> Called | None:
        if reply := self._replies.pop((body["step_id"], body["attempt"]), None):
            made = [(call["id"], call["name"], orjson.dumps(call["arguments"]).decode()) for call in body["tool_calls"]]
            return Called(replace(reply, calls=[Call(*each) for each in made]))
        return None
