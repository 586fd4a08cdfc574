"""`input.respond`: answers to what a thread waits for, one or several at once."""

import hashlib
from collections.abc import Mapping
from typing import Any, LiteralString

import orjson

from serving.api.thread_streams.errors import Refused
from serving.api.thread_streams.start import start
from serving.database import Row
from serving.errors import Conflict
from serving.hosting.config import AGENT
from serving.runs import approvals
from serving.services import ApiServices

_THREAD: LiteralString = """
select thread.interrupts, run.run_id, coalesce(run.graph, %(agent)s) as graph,
    coalesce(run.assistant_id::text, run.graph, %(agent)s) as assistant,
    (select run_id from runs past where past.thread_id = thread.thread_id and finished_at is not null
        order by finished_at desc limit 1) as asked_by,
    array(select live.launch -> 'command' -> 'resume' from runs live
        where live.thread_id = thread.thread_id and live.status in ('pending', 'running')) as answering
from threads thread join lateral (
    select * from runs where runs.thread_id = thread.thread_id order by created_at desc limit 1) run on true
where thread.thread_id = %(thread)s and thread.tenant = %(tenant)s
"""


async def respond(services: ApiServices, thread_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Refused: for what is no answer, for a question that nobody asks or that is answered already."""
    answers = _answers(params)
    thread = await _thread(services, thread_id)
    waiting = await _waiting(services, thread)
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


async def _thread(services: ApiServices, thread_id: str) -> Row:
    values = {"thread": thread_id, "tenant": services.runs.tenant, "agent": AGENT}
    async with services.pool.connection() as connection:
        found = await (await connection.execute(_THREAD, values)).fetchone()
    if found is None:
        raise Refused("no_such_run", "no run of this thread waits for an answer; run.start begins one")
    return found


async def _waiting(services: ApiServices, thread: Row) -> set[str]:
    """The questions that can still be answered. Where a run is under way that answers none, it has given them up."""
    if thread["graph"] == AGENT:
        return {request.id for request in await approvals.waiting(services.pool, str(thread["run_id"]))}
    asked = {each["id"] for of_task in thread["interrupts"].values() for each in of_task}
    if not asked and not thread["answering"]:
        raise Refused("no_such_run", "no run of this thread waits for an answer; run.start begins one")
    for answering in thread["answering"]:
        if not isinstance(answering, dict):
            return set()
        asked -= answering.keys()
    return asked
