"""What planner, worker and critic's threads hold: nobody keeps it in their rows, their runs and approvals say it."""

from collections.abc import Iterable, Sequence
from typing import Any, LiteralString

from serving.runs.decisions.questions import question_of, shown

# The runs of a talk, from the one that `last` finds back to its first. Each goes on behind the one that was made before
# it on the thread, or behind the one that it names: what was said behind that is another branch of the talk.
_TALK: LiteralString = """
with recursive turn as (
    (select run_id, thread_id, created_at, request, launch, 1 as back from runs where {last})
    union all
    select before.* from turn cross join lateral (
        select run_id, thread_id, created_at, request, launch, turn.back + 1 from runs
        where runs.thread_id = turn.thread_id and created_at < turn.created_at
            and run_id <= coalesce((turn.launch ->> 'follows')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            and coalesce(graph, 'trireme') = 'trireme'
        order by created_at desc limit 1) before
    where turn.back <= {most}
), talk as (
    select run_id, back, coalesce(launch ->> 'message_id', 'goal-' || run_id) as goal_id, request ->> 'goal' as goal, (
        select body -> 'answer' ->> 'text' from run_events line
        where line.run_id = turn.run_id and kind = 'answer_written' order by seq desc limit 1) as answer
    from turn
)
select {told}
"""
# What was said on a run's thread before it, oldest first.
BEFORE: LiteralString = _TALK.format(last="run_id = %s", most=50, told="* from talk where back > 1 order by back desc")
BROUGHT: LiteralString = "select brought from threads where thread_id = %s"
# Goals and answers, as the messages of the chat that they are, behind those that the thread has brought.
_MESSAGES: LiteralString = """
jsonb_build_object('messages', coalesce(thread.brought, '[]')
    || jsonb_agg(said.message order by said.back desc, said.nth)) from (
    select back, 1 as nth, jsonb_build_object('type', 'human', 'id', goal_id, 'content', goal) as message from talk
    union all
    select back, 2, jsonb_build_object('type', 'ai', 'id', 'answer-' || run_id, 'content', answer)
    from talk where answer is not null
) said having count(*) > 0
"""
_NEWEST: LiteralString = "runs.thread_id = thread.thread_id order by created_at desc limit 1"
_OF_RUNS: LiteralString = _TALK.format(last=_NEWEST, most=1_000, told=_MESSAGES)
# A thread whose graph isn't said is of a goal's run, if it has any; for `exists` the planner may read all there are.
IS_TALK: LiteralString = """(thread.metadata ->> 'graph_id' = %(agent)s or not thread.metadata ? 'graph_id'
    and (select true from runs where runs.thread_id = thread.thread_id limit 1))"""
# Where no run was, somebody wrote the state by hand, or it is a copy's.
VALUES: LiteralString = (
    "coalesce(case when "
    + IS_TALK
    + " then ("
    + _OF_RUNS
    + """) end, thread.values,
    case when thread.brought is not null then jsonb_build_object('messages', thread.brought) end)"""
)
# By run, as it was asked; `asked` makes of it what clients read.
_WAITING: LiteralString = """(
    select jsonb_object_agg(run_id, questions) from (
        select run_id, (
            select jsonb_agg(question order by nth, since, id) from (
                select 1 as nth, created_at as since, approval_id as id, request as question from approvals
                where approvals.run_id = runs.run_id and decision is null and expires_at > clock_timestamp()
                union all
                select 2, unknown_at, key, jsonb_build_object('key', key, 'step_id', step_id, 'tool', tool,
                    'arguments', coalesce(arguments, '{}'), 'reason', reason, 'round', round)
                from effects where effects.run_id = runs.run_id and state = 'unknown') asked) as questions
        from runs where runs.thread_id = thread.thread_id and runs.status = 'interrupted') waiting
    where questions is not null)
"""
INTERRUPTS: LiteralString = "case when " + IS_TALK + " then coalesce(" + _WAITING + ", '{}') else thread.interrupts end"


def asked(waiting: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """What a thread waits for, as interrupts."""
    return {run: [shown(question_of(each)) for each in questions] for run, questions in waiting.items()}


def standing(state: dict[str, Any], live: Sequence[str]) -> dict[str, Any]:
    """The thread's newest state, `live` the statuses of its runs that aren't over: questions that nobody can answer any
    more aren't shown. The run was cancelled, then nothing is to come; or the answer is there, and it goes on."""
    named = told_by_id(state)
    if "interrupted" in live or not named["interrupts"]:
        return named
    tasks = [{**task, "interrupts": []} for task in named["tasks"]] if live else []
    return {**named, "interrupts": [], "tasks": tasks, "next": named["next"] if live else []}


def told_by_id(state: dict[str, Any]) -> dict[str, Any]:
    """A question has one id everywhere: the approval's."""
    tasks = [{**task, "interrupts": _named(task["interrupts"])} for task in state["tasks"]]
    return {**state, "interrupts": _named(state["interrupts"]), "tasks": tasks}


def _named(interrupts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**each, "id": each["value"].get("id", each["id"])} for each in interrupts]
