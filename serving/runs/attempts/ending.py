"""How a hosted run ends: its last lines, its status and what its thread is left with are one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, LiteralString

import orjson

from graph.events import RunFinished
from serving.auth.user import OF_WHO_ASKS
from serving.database import Pool
from serving.hosting.http import HeaderPatterns
from serving.hosting.jsonable import to_json
from serving.hosting.part_log import RESULT, part_body
from serving.hosting.parts import Part
from serving.runs.fence import fence_lost
from serving.runs.log import encoded
from serving.runs.queue import Claim
from serving.runs.requests.launch import PLACES

_END: LiteralString = """
with run as (
    update runs set lease_until = null, run_at = null, finished_at = now(), status = %(status)s, caller = null
    where run_id = %(run_id)s and fence = %(fence)s and status = 'running'
    returning run_id, thread_id, tenant, rollback
), thread as (
    update threads set status = %(thread_status)s, values = coalesce(%(values)s::jsonb, values),
        interrupts = %(interrupts)s::jsonb, error = %(error)s::jsonb,
        config = coalesce(%(config)s::jsonb, config), updated_at = now(), state_updated_at = now()
    from run where threads.thread_id = run.thread_id and not run.rollback
    returning threads.thread_id
), line as (
    select line.seq from run, append_events(run.run_id, null, ending_lines(run.run_id, %(bodies)s)) line
    where not run.rollback
), forgotten as (
    select forgotten from run, forget_runs(run.tenant, array[run.run_id]) forgotten where run.rollback
)
select (select count(*) from thread), (select count(*) from line), (select count(*) from forgotten) from run
"""


@dataclass(frozen=True, slots=True)
class Ending:
    """`state` is what the thread holds (None where nobody knows), `result` what the run came to, `interrupts` what
    waits for a person, by task, and `questions` the same as parts of the stream, where those are told; where it
    `waits`, for that or at a breakpoint, the next run goes on from there."""

    finished: RunFinished
    state: Any = None
    result: Any = None
    interrupts: dict[str, Sequence[Any]] | None = None
    waits: bool = False
    questions: Sequence[Part] = ()

    @property
    def thread_status(self) -> Literal["idle", "interrupted", "error"]:
        if self.finished.status in ("error", "timeout"):
            return "error"
        return "interrupted" if self.waits else "idle"


async def end(pool: Pool, claim: Claim, ending: Ending, headers: HeaderPatterns | None) -> None:
    """A run that is rolled back is forgotten instead. `headers`: those that graphs are told. Raises FenceLost."""
    finished, failed = ending.finished, ending.finished.status != "success"
    parts = [*ending.questions, *([] if ending.result is None else [(RESULT, ending.result)])]
    bodies = [part_body(event, to_json(data).decode()) for event, data in parts]
    bodies.append(encoded([finished.model_copy(update={"waits": ending.waits and not failed})])[1:-1])
    error = {"error": finished.code, "message": finished.message} if failed else None
    values = {
        "run_id": claim.run_id,
        "fence": claim.fence,
        "status": finished.status,
        "thread_status": ending.thread_status,
        "values": None if ending.state is None else to_json(ending.state).decode(),
        "interrupts": orjson.dumps(_shown(ending.interrupts or {})).decode(),
        "error": error and to_json(error).decode(),
        "config": None if ending.state is None else to_json(_settings(claim.launch or {}, headers)).decode(),
        "bodies": f"[{','.join(bodies)}]",
    }
    async with pool.connection() as connection:
        if not (await connection.execute(_END, values)).rowcount:
            raise fence_lost(claim.run_id, "end it")


def _settings(launch: Mapping[str, Any], headers: HeaderPatterns | None) -> dict[str, Any]:
    """What the thread's graph is opened with from now on, whoever asks: the run's, but for who asked for it and with
    which headers, where it began, and what is LangGraph's own."""
    config: dict[str, Any] = launch.get("config") or {}
    told = (config.get("configurable") or {}).items()
    lasts = {
        name: value
        for name, value in told
        if not (name in PLACES or name.startswith((OF_WHO_ASKS, "__")) or (headers and headers.has(name)))
    }
    return {**config, "configurable": lasts}


def _shown(interrupts: dict[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """As a thread shows them."""
    return {task: [shown_interrupt(each) for each in waiting] for task, waiting in interrupts.items() if waiting}


def shown_interrupt(interrupt: Any) -> dict[str, Any]:
    shown: dict[str, Any] = orjson.loads(to_json(interrupt))
    return {name: value for name, value in shown.items() if name != "response_schema" or value is not None}
