"""The response that a new one goes on from: its run's thread where it is the last one there, else what was said."""

import uuid
from typing import Any, Final, LiteralString

from graph.events import ConversationRecalled
from graph.transcript import bodies
from serving.api.openai.asking import Kept
from serving.api.openai.draft import PREFIX
from serving.api.openai.messages import Conversation
from serving.api.openai.place import LATER, Place
from serving.database import Row
from serving.errors import BadRequest, NotFound
from serving.hosting.config import AGENT
from serving.services import ApiServices

_IS_PASSED: LiteralString = "select {later} as passed from runs run where run_id = %(run)s"
_HINT: Final = "it was never made, was deleted, or was made with store=false"


async def found(services: ApiServices, response_id: str) -> tuple[Row, Kept]:
    """The run's row. Raises NotFound for a response that isn't there, or is not to be read again."""
    try:
        row = await services.runs.row(str(uuid.UUID(response_id.removeprefix(PREFIX))))
    except (NotFound, ValueError):
        raise _missing(response_id) from None
    kept = await kept_of(services, row)
    if not kept.store or row["graph"] not in (None, AGENT):
        raise _missing(response_id)
    return row, kept


async def kept_of(services: ApiServices, row: Row) -> Kept:
    return Kept.model_validate(await services.restore((row["asked"] or {}).get("kept", {})))


async def place_behind(services: ApiServices, response_id: str, key: str | None) -> tuple[Place, Conversation]:
    """Where a new response stands, and the conversation so far, without a goal. Raises BadRequest."""
    try:
        row, _ = await found(services, response_id)
    except NotFound as error:
        raise BadRequest(error.message, error.hint, "previous_response_not_found") from None
    run_id, thread_id = str(row["run_id"]), str(row["thread_id"])
    async with services.pool.connection() as connection:
        asked: dict[str, Any] = {"run": run_id, "key": key}
        passed = await (await connection.execute(_IS_PASSED.format(later=LATER), asked)).fetchone()
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
