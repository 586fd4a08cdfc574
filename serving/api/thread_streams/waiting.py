"""What a thread waits for, and whether that is answered already."""

from collections.abc import Set
from typing import LiteralString

from serving.api.thread_streams.errors import Refused
from serving.database import Row, fetch_one
from serving.hosting.config import AGENT
from serving.runs.decisions.questions import id_of, waiting
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


async def asking(services: ApiServices, thread_id: str) -> Row | None:
    """The thread with what it asks; None where it has no run."""
    values = {"thread": thread_id, "tenant": services.runs.tenant, "agent": AGENT}
    return await fetch_one(services.pool, _THREAD, values)


async def waits(services: ApiServices, thread_id: str) -> bool:
    """Whether a hosted graph's thread stands still until somebody answers."""
    thread = await asking(services, thread_id)
    return bool(thread and thread["graph"] != AGENT and _asked(thread) and not thread["answering"])


async def open_questions(services: ApiServices, thread: Row) -> Set[str]:
    """Those that can still be answered. Where a run is under way that answers none, it has given them up."""
    if thread["graph"] == AGENT:
        return {id_of(question) for question in await waiting(services.pool, str(thread["run_id"]))}
    asked = _asked(thread)
    if not asked and not thread["answering"]:
        raise nobody_asks()
    for answering in thread["answering"]:
        if not isinstance(answering, dict):
            return set()
        asked -= answering.keys()
    return asked


def nobody_asks() -> Refused:
    return Refused("no_such_run", "no run of this thread waits for an answer; run.start begins one")


def _asked(thread: Row) -> set[str]:
    return {each["id"] for of_task in thread["interrupts"].values() for each in of_task}
