"""A run's log as events of the thread-centric protocol. What each line tells follows from it alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from serving.api.event_id import event_id
from serving.api.sdk.framing import part_of
from serving.api.thread_streams.subscription import Namespace, Subscription
from serving.database import Row
from serving.hosting.channels import ASKED, EVENT, place_of
from serving.hosting.part_log import RESULT
from serving.runs.view import TERMINAL
from serving.threads.places import ROOM, Place

# (channel, method, namespace, data as JSON text, what stands beside the data)
Told = tuple[str, str, Namespace, str, str]
_AS_IT_IS: Final = frozenset({"values", "tasks"})
_CHANNEL: Final = {"input.requested": "input"}
# What LangGraph's older stream calls what happens to a tool's call: the event here, and its fields there.
_TOOLS: Final = {
    "on_tool_start": ("tool-started", {"tool_name": "name", "input": "input"}),
    "on_tool_event": ("tool-output-delta", {"delta": "data"}),
    "on_tool_end": ("tool-finished", {"output": "output"}),
    "on_tool_error": ("tool-error", {"message": "error"}),
}
ENDS: Final = {"success": "completed", "error": "failed", "timeout": "failed"}


@dataclass(frozen=True)
class EventFraming:
    """Of one run, the `place`-th of its thread, for those who have heard everything up to `heard`.

    `plain`: each event is a line of JSON, for a WebSocket, instead of a server-sent event. `own`: it was asked for
    through this protocol, so that each question is a line.
    """

    run_id: str
    thread_id: str
    graph: str
    place: int
    wanted: Subscription
    heard: int = -1
    plain: bool = False
    own: bool = True

    def __call__(self, row: Row, body: str) -> str:
        told = self.numbered(row["kind"], row["seq"], body)
        return "".join(self._framed(row, room, number, each) for room, number, each in told)

    def ends(self, status: str) -> bool:
        return status in TERMINAL

    def numbered(self, kind: str, line: int, body: str) -> Iterator[tuple[int, int, Told]]:
        """(room, number in it, what is told)"""
        yield from ((0, number, each) for number, each in enumerate(self.tells(kind, body)))

    def tells(self, kind: str, body: str) -> Iterator[Told]:
        match kind:
            case "stream_part":
                yield from _part(body, own=self.own)
            case "run_claimed" | "run_resumed":
                yield self.lifecycle("running")
            case "run_finished":
                yield self._finished(orjson.loads(body))

    def lifecycle(self, event: str, error: str = "") -> Told:
        data = {"event": event, "graph_name": self.graph, **({"error": error} if error else {})}
        return told("lifecycle", (), data)

    def _finished(self, end: dict[str, Any]) -> Told:
        """The protocol has no word for a run that was cancelled: it is interrupted, and says by whom."""
        if end["status"] == "cancelled":
            return self.lifecycle("interrupted", f"cancelled {end['message']}")
        event = "interrupted" if end.get("waits") else ENDS[end["status"]]
        return self.lifecycle(event, (end["message"] or end["code"]) if event == "failed" else "")

    def _framed(self, row: Row, room: int, number: int, told: Told) -> str:
        channel, method, namespace, data, beside = told
        place = Place(self.place, row["seq"], room * ROOM + min(number, ROOM - 1))
        if place.is_told(self.heard) or not self.wanted.wants(channel, namespace):
            return ""
        seq = place.seq
        params = f'"namespace":{orjson.dumps(namespace).decode()},"timestamp":{int(row["at"].timestamp() * 1000)}'
        head = (
            f'{{"type":"event","event_id":"{self.run_id}:{row["seq"]}.{room}.{number}","seq":{seq},"method":"{method}"'
        )
        event = f'{head},"params":{{{params},"data":{data}{beside}}}}}'
        if self.plain:
            return f"{event}\n"
        return f"event: {method}\ndata: {event}\nid: {event_id(seq, self.thread_id)}\n\n"


def told(method: str, namespace: Namespace, data: Any) -> Told:
    return _CHANNEL.get(method, method), method, namespace, orjson.dumps(data).decode(), ""


def update(node: str, values: Any, namespace: Namespace = ()) -> Told:
    return *told("updates", namespace, values)[:4], f',"node":{orjson.dumps(node).decode()}'


def _part(body: str, *, own: bool) -> Iterator[Told]:
    """Of what a hosted graph gave out, be it for this protocol or for one of LangGraph's older streams."""
    event, data = part_of(body)
    mode, *within = event.split("|")
    namespace = tuple(within)
    if mode == ASKED:
        asked = orjson.loads(data)
        yield question(asked["id"], asked["value"], namespace)
    elif mode.startswith(EVENT):
        yield _event(mode.removeprefix(EVENT), namespace, data)
    elif mode in _AS_IT_IS:
        yield mode, mode, namespace, data, ""
    elif mode == "custom":
        yield _written(namespace, data)
    elif mode == "updates":
        given = orjson.loads(data)
        yield from (update(node, given[node], namespace) for node in given if node != "__interrupt__")
    elif mode == "checkpoints":
        yield told("checkpoints", namespace, place_of(orjson.loads(data)))
    elif mode == "tools":
        yield told("tools", namespace, _call(orjson.loads(data)))
    elif mode == RESULT and not own and "__interrupt__" in data:
        yield from _questions(orjson.loads(data))


def _written(namespace: Namespace, data: str) -> Told:
    """What a node wrote. One that names itself is an extension's, whose fields the Python SDK looks for beside the
    name, and JavaScript's in `payload`."""
    given = orjson.loads(data)
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(name, str) or not name:
        return "custom", "custom", namespace, f'{{"payload":{data}}}', ""
    fields = {field: value for field, value in given.items() if field != "name"}
    return f"custom:{name}", *told("custom", namespace, {"payload": fields, **given})[1:]


def _event(method: str, namespace: Namespace, data: str) -> Told:
    if method == "custom":
        return f"custom:{orjson.loads(data)['name']}", method, namespace, data, ""
    return _CHANNEL.get(method, method), method, namespace, data, ""


def _call(given: dict[str, Any]) -> dict[str, Any]:
    event, fields = _TOOLS[given["event"]]
    named = {here: given[there] for here, there in fields.items() if given.get(there) is not None}
    return {"event": event, "tool_call_id": given["toolCallId"], **named}


def _questions(result: Any) -> Iterator[Told]:
    for each in result.get("__interrupt__", ()) if isinstance(result, dict) else ():
        yield question(each["id"], each["value"])


def question(id_: str, value: Any, namespace: Namespace = ()) -> Told:
    """`payload` is the protocol's name; the Python SDK looks for `value`."""
    return told("input.requested", namespace, {"interrupt_id": id_, "payload": value, "value": value})
