"""`input.respond`: answers to what a thread waits for, one or several at once."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from serving.api.thread_streams.errors import Refused
from serving.api.thread_streams.start import start
from serving.api.thread_streams.waiting import asking, nobody_asks, open_questions
from serving.errors import Conflict
from serving.hosting.config import AGENT
from serving.services import ApiServices


async def respond(services: ApiServices, thread_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Refused: for what is no answer, for a question that nobody asks or that is answered already."""
    answers = _answers(params)
    thread = await asking(services, thread_id)
    if thread is None:
        raise nobody_asks()
    waiting = await open_questions(services, thread)
    for id_ in answers:
        if id_ not in waiting:
            raise Refused("no_such_interrupt", f"no question {id_[:80]!r} waits for an answer, or it has one already")
    command = {"resume": answers, "update": params.get("update"), "goto": params.get("goto")}
    run = {"assistant_id": thread["assistant"], "command": command}
    more = {name: params[name] for name in ("config", "metadata", "context") if name in params}
    # Of those who answer at the same moment, all who say the same have the same run; the others come too late.
    questions = hashlib.sha256(orjson.dumps(sorted(answers))).hexdigest()
    asker = thread["run_id"] if thread["graph"] == AGENT else thread["asked_by"]  # the agent's run is parked, not over
    key = f"answer-to-{asker}-{questions}"
    try:
        return {"run_id": await start(services, thread_id, {**run, **more}, key)}
    except Conflict as late:
        raise Refused("no_such_interrupt", f"the question has an answer already: {late}") from None


def _answers(params: Mapping[str, Any]) -> dict[str, Any]:
    entries = params.get("responses", [params])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise Refused("invalid_argument", "`responses` is a list of answers that isn't empty")
    answers: dict[str, Any] = {}
    for entry in entries:
        id_ = entry.get("interrupt_id")
        if not isinstance(id_, str) or "response" not in entry:
            raise Refused("invalid_argument", "input.respond needs an `interrupt_id` and a `response`")
        answers[id_] = entry["response"]
    return answers
