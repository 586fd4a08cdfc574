"""What planner, worker and critic's threads hold: nobody keeps it in their rows, their runs and approvals say it."""

from typing import Any, LiteralString

from graph.approval import interrupt_payload
from graph.ports import ApprovalRequest

# Goals and answers, as the messages of the chat that they are. Where no run was, somebody wrote the state by hand.
VALUES: LiteralString = """
coalesce(case when thread.metadata ->> 'graph_id' = %(agent)s then (
    select jsonb_build_object('messages', jsonb_agg(said.message order by said.created_at, said.nth)) from (
        select created_at, 1 as nth, jsonb_build_object(
            'type', 'human', 'id', coalesce(launch ->> 'message_id', 'goal-' || run_id),
            'content', request ->> 'goal') as message
        from runs where runs.thread_id = thread.thread_id
        union all
        select created_at, 2, jsonb_build_object(
            'type', 'ai', 'id', 'answer-' || run_id, 'content', line.body -> 'answer' ->> 'text')
        from runs cross join lateral (
            select body from run_events where run_events.run_id = runs.run_id and kind = 'answer_written'
            order by seq desc limit 1) line
        where runs.thread_id = thread.thread_id
    ) said having count(*) > 0) end, thread.values)
"""
# By run, as it was asked; `asked` makes of it what clients read.
INTERRUPTS: LiteralString = """
case when thread.metadata ->> 'graph_id' = %(agent)s then coalesce((
    select jsonb_object_agg(run_id, requests) from (
        select run_id, jsonb_agg(approvals.request order by approvals.created_at, approval_id) as requests
        from runs join approvals using (run_id)
        where runs.thread_id = thread.thread_id and runs.status = 'interrupted' and decision is null
            and expires_at > clock_timestamp()
        group by run_id) waiting), '{}') else thread.interrupts end
"""


def asked(waiting: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The approvals that a thread waits for, as interrupts."""
    return {run: [_interrupt(ApprovalRequest.model_validate(each)) for each in all_] for run, all_ in waiting.items()}


def _interrupt(request: ApprovalRequest) -> dict[str, Any]:
    return {"id": request.id, "value": interrupt_payload(request)}
