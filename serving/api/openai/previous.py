"""The response that a new one goes on from: its run's thread where it is the last one there, else what was said; of a
hosted graph, the state that it left behind."""

import uuid
from typing import Final, LiteralString

from graph.events import ConversationRecalled
from graph.transcript import bodies
from serving.api.openai.asking import Kept
from serving.api.openai.draft import PREFIX
from serving.api.openai.messages import Conversation
from serving.api.openai.place import LATER, Place
from serving.database import Row, fetch_one
from serving.errors import BadRequest, Conflict, NotFound
from serving.hosting.config import AGENT, is_hosted
from serving.services import ApiServices

_IS_PASSED: LiteralString = "select {later} as passed from runs run where run_id = %(run)s"
_LEFT: LiteralString = """
with next as (
    select min(run_id::text)::uuid as run_id from runs
    where thread_id = %(thread)s::uuid and run_id > %(run)s and asked is not null
), its as (
    select runs.run_id, status from runs, next
    where thread_id = %(thread)s::uuid and runs.run_id >= %(run)s
        and (next.run_id is null or runs.run_id < next.run_id)
)
select exists (select from its where status in ('pending', 'running')) as live, (
    select checkpoint_id from state_checkpoints
    where tenant = %(tenant)s and thread_id = %(thread)s::uuid::text and namespace = ''
        and run_id in (select run_id::text from its)
    order by checkpoint_id desc limit 1) as checkpoint_id
"""
_HINT: Final = "it was never made, was deleted, or was made with store=false"


async def found(services: ApiServices, response_id: str) -> tuple[Row, Kept]:
    """The run's row. Raises NotFound for a response that isn't there, or is not to be read again."""
    try:
        row = await services.runs.row(str(uuid.UUID(response_id.removeprefix(PREFIX))))
    except (NotFound, ValueError):
        raise _missing(response_id) from None
    kept = await kept_of(services, row)
    if not kept.store or (is_hosted(row["graph"]) and row["asked"] is None):
        raise _missing(response_id)
    return row, kept


async def kept_of(services: ApiServices, row: Row) -> Kept:
    kept = (row["asked"] or {}).get("kept", {})
    return Kept.model_validate(kept if is_hosted(row["graph"]) else await services.restore(kept))


async def previous(services: ApiServices, response_id: str, model: str) -> Row:
    """The run's row. Raises BadRequest, also where it is of another graph than the model's."""
    try:
        row, _ = await found(services, response_id)
    except NotFound as error:
        raise BadRequest(error.message, error.hint, "previous_response_not_found") from None
    of = row["graph"] or AGENT
    if of != model.partition(":")[0]:
        hint = f"ask {of}, or begin without previous_response_id"
        raise BadRequest(f"the previous response is one of {of}, not of {model[:60]}", hint, "another_model")
    return row


async def state_behind(services: ApiServices, row: Row) -> str:
    """The checkpoint that a hosted graph's next response begins with, whether or not another one went on from there.

    What else ran on the thread before that one (an answer to a question, given with the SDK) belongs to this response.
    Raises Conflict while it is made, and where it left no state.
    """
    asked = {"run": str(row["run_id"]), "thread": str(row["thread_id"]), "tenant": row["tenant"]}
    left = await fetch_one(services.pool, _LEFT, asked)
    assert left is not None
    if left["live"]:
        raise Conflict("the previous response is not complete", "wait for it, or cancel it", "response_in_progress")
    if left["checkpoint_id"] is None:
        hint = "begin without previous_response_id"
        raise Conflict("the previous response left no state to go on from", hint, "no_checkpoint")
    return str(left["checkpoint_id"])


async def place_behind(services: ApiServices, row: Row, key: str | None) -> tuple[Place, Conversation]:
    """Where the agent's next response stands, and the conversation so far, without a goal."""
    run_id, thread_id = str(row["run_id"]), str(row["thread_id"])
    passed = await fetch_one(services.pool, _IS_PASSED.format(later=LATER), {"run": run_id, "key": key})
    if passed and passed["passed"]:
        return Place(None), Conversation("", turns=await _turns(services, run_id))
    return Place(thread_id, True, run_id if row["status"] == "interrupted" else None), Conversation("")


async def _turns(services: ApiServices, run_id: str) -> tuple[tuple[str, str], ...]:
    """As they are stored, without the values of persons."""
    history = (await services.runs.history(run_id)).whole
    earlier = [turn for body in bodies(history, ConversationRecalled)[:1] for turn in body.turns]
    run = await services.runs.get(run_id)
    return (*earlier, (run.goal, run.answer or ""))


def _missing(response_id: str) -> NotFound:
    return NotFound(f"no response {response_id[:60]!r}", _HINT, "response_not_found")
