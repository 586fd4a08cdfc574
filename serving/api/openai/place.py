"""Where in a conversation a request stands: its thread, and the run there that waits for a person.

A thread is named by the client, or found by what it sends: who sends all that people have said on a thread so far goes
on there; anything else (an answer asked for again, a message changed) begins a new thread with what was sent.
The mark that stands for it is a hash of redacted text, kept with each run.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson

from serving.api.openai.asking import Asking
from serving.api.openai.messages import LONGEST, Conversation
from serving.api.openai.waiting import reply_of
from serving.database import Row, fetch_all
from serving.runs.requests.limits import parse_id
from serving.services import ApiServices

_PARKED: LiteralString = """
select run_id::text from runs
where tenant = %(tenant)s and thread_id = %(thread)s and status = 'interrupted' and finished_at is null
order by run_id desc limit 1
"""
# A request that is sent again with its Idempotency-Key finds the place that it had the first time.
LATER: LiteralString = """exists (select from runs later where later.thread_id = run.thread_id
    and later.run_id > run.run_id
    and (%(key)s::text is null or later.idempotency_key is distinct from %(key)s))"""
# Of those who said the same, a run that waits is the one's who has its question, which names it, before them.
_NEWEST: LiteralString = """
select run_id::text, thread_id::text, status, asked ->> 'conversation' as mark, (
    select body -> 'answer' ->> 'text' from run_events line
    where line.run_id = run.run_id and kind = 'answer_written' order by seq desc limit 1) as answer
from runs run
where tenant = %(tenant)s and asked ->> 'conversation' = any(%(marks)s) and not {later}
    and (status <> 'interrupted' or %(told)s::text is null or position(run_id::text in %(told)s) > 0)
order by array_position(%(marks)s, asked ->> 'conversation') desc, run_id desc limit 5
"""


@dataclass(frozen=True, slots=True)
class Place:
    """`begun`: the thread has runs that know what was said. `mark` stands for the conversation with this request."""

    thread_id: str | None
    begun: bool = False
    parked: str | None = None
    mark: str | None = None


async def place_of(services: ApiServices, asking: Asking, said: Conversation, header: str, key: str | None) -> Place:
    """`header`: X-Thread-Id. Raises NotFound for a thread that is no UUID, and what `asking.request` does: before all
    that was said is redacted, which takes seconds for each megabyte."""
    asking.request(said, None, begun=True)
    if named := header or asking.named("thread_id"):
        thread = parse_id(named, "thread")
        parked = await _rows(services, _PARKED, thread=thread)
        return Place(thread, parked=parked[0]["run_id"] if parked else None)
    spoken = [text for text in said.before if reply_of(text) is None]
    marks = await _marks(services, asking, [*spoken, said.goal])
    told, query = said.turns[-1][1] if said.turns else None, _NEWEST.format(later=LATER)
    for row in await _rows(services, query, marks=marks[:-1], key=key, told=told) if spoken else ():
        if row["status"] == "interrupted":
            return Place(row["thread_id"], True, row["run_id"], marks[-1])
        if row["mark"] == marks[-2] and await _was_told(services, row["answer"], said):
            return Place(row["thread_id"], True, mark=marks[-1])
    return Place(None, mark=marks[-1])


async def _was_told(services: ApiServices, answer: str | None, said: Conversation) -> bool:
    """Of two answers to one question only one is in the conversation; what it was told with may stand around it."""
    if answer is None or not said.turns:
        return True
    restored = await services.restored_answer(answer)
    return restored.strip()[:LONGEST] in said.turns[-1][1]


async def _marks(services: ApiServices, asking: Asking, spoken: list[str]) -> list[str]:
    """One for what was said up to each text. People who say the same are told apart by `user` and the documents."""
    texts = await asyncio.to_thread(services.redactor.redact_json, spoken)
    marks = [orjson.dumps([asking.user or "", asking.model, asking.named("collection")]).decode()]
    for text in texts:
        marks.append(hashlib.sha256(f"{marks[-1]}\0{text}".encode()).hexdigest())
    return marks[1:]


async def _rows(services: ApiServices, query: LiteralString, **values: Any) -> list[Row]:
    return await fetch_all(services.pool, query, {"tenant": services.documents.tenant, **values})
