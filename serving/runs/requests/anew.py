"""Where a run of the agent begins that is sent with a checkpoint, as chat pages send it to ask again or to edit a
message: in the place of the run that the checkpoint is of, or behind its answer.

What the thread's talk is from then on follows from that: a run that is sent so says which one it `follows`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from serving.database import Pool, fetch_one
from serving.errors import NotFound, Unprocessable
from serving.hosting.config import AGENT
from serving.runs.requests.launch import goal_id
from serving.runs.requests.request import RunRequest

NOBODY: Final = "00000000-0000-0000-0000-000000000000"  # what the first run of a talk follows
_ASKED: LiteralString = """
with named as (
    select checkpoint_id, log_seq, run.* from state_checkpoints checkpoint
    left join runs run on run.run_id = checkpoint.run_id::uuid and run.thread_id = %(thread)s::uuid
        and coalesce(graph, %(agent)s) = %(agent)s
    where checkpoint.tenant = %(tenant)s and checkpoint.thread_id = %(thread)s::uuid::text and namespace = ''
        and checkpoint_id = %(checkpoint)s
)
select checkpoint_id, run_id::text, request, launch, coalesce(log_seq >= (
        select min(seq) from run_events line where line.run_id = named.run_id and kind = 'answer_written'
    ), false) as answered, (
        select min(first.checkpoint_id) from state_checkpoints first
        where first.tenant = %(tenant)s and first.thread_id = %(thread)s::uuid::text and namespace = ''
            and first.run_id = named.run_id::text
    ) as first, coalesce(launch ->> 'follows', (
        select run_id::text from runs earlier
        where earlier.thread_id = named.thread_id and created_at < named.created_at
            and coalesce(graph, %(agent)s) = %(agent)s
        order by created_at desc limit 1
    ), %(nobody)s) as before
from named
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """A place in a thread's talk: behind the run `follows`, with the state of a checkpoint. `asked` is what the run
    there was asked, redacted, where the new one takes its place; its message keeps its id."""

    follows: str
    checkpoint_id: str
    asked: RunRequest | None = None
    message_id: str | None = None

    def again(self) -> RunRequest:
        """Raises Unprocessable behind an answer."""
        if self.asked is None:
            hint = "send input, or a checkpoint from before the answer to have it given anew"
            raise Unprocessable("behind this checkpoint nothing is left to be done", hint, "nothing_to_do")
        return self.asked


async def turn_at(pool: Pool, tenant: str, thread_id: str, checkpoint_id: str) -> Turn:
    """Raises NotFound, Unprocessable."""
    asked = {"thread": thread_id, "tenant": tenant, "checkpoint": checkpoint_id, "agent": AGENT, "nobody": NOBODY}
    row = await fetch_one(pool, _ASKED, asked)
    if row is None:
        hint = f"POST /threads/{thread_id}/history lists them"
        raise NotFound(f"thread {thread_id} has no checkpoint {checkpoint_id[:100]}", hint, "checkpoint_not_found")
    if row["run_id"] is None:
        hint = "send one that a run of the thread has written, or input without a checkpoint"
        raise Unprocessable(f"checkpoint {checkpoint_id[:100]} is of no run of this thread", hint, "no_such_turn")
    if row["answered"]:
        return Turn(row["run_id"], row["checkpoint_id"])
    return Turn(row["before"], row["first"], _asked(row["request"]), goal_id(row["run_id"], row["launch"]))


def _asked(request: Mapping[str, Any]) -> RunRequest:
    """How and when it was sent isn't asked again."""
    kept = {name: value for name, value in request.items() if name not in ("thread_id", "webhook", "after_seconds")}
    return RunRequest.model_validate(kept)
