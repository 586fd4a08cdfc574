"""The prompt: one prefix for all four roles, append-only history, the role's instruction last.

Providers and vLLM cache a prompt by its first bytes, so nothing that differs between two calls of a run may stand
before what they share: no clock, no id, no set order. Order: system and memory, goal, documents and the answer's form,
plan, findings, the step's own transcript, instruction.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import orjson
from pydantic import BaseModel

from graph.events import ConversationRecalled, PlanEdited, PlanProposed, RunEvent, StepFinished
from graph.form import Form
from graph.ports import AnswerTask, Message, PlanTask, ReviewTask, StepTask, Task
from graph.prompt import Prompts
from graph.state import Overview, StepOutcome, Value
from graph.transcript import StepTranscript, bodies, memory_of, overview_of
from privacy.redact import Redacted, from_record

_FORMED: Final = (
    "A program reads the answer: reply with the one JSON object whose form is given above, and nothing else: no "
    "Markdown, no citation numbers. What the goal itself says counts as found. What was not found is null or empty "
    "where the schema allows it, never a guess."
)


def assemble(
    prompts: Prompts,
    task: Task,
    history: Sequence[RunEvent],
    step: StepTranscript | None = None,
    form: Form | None = None,
) -> tuple[Message, ...]:
    """The whole prompt of one call, oldest and most shared first."""
    messages = [
        Message("system", _text(prompts.texts["system"], _memory(memory_of(history)))),
        Message(
            "user", _text(f"# Goal\n{task.goal}", _documents(overview_of(history)), _previous(history), _form(form))
        ),
    ]
    messages += _story(task, history)
    messages += step.messages() if step else ()
    messages.append(Message("user", _instruction(prompts, task, form)))
    return tuple(messages)


def _text(*parts: str) -> Redacted:
    return from_record("\n\n".join(part for part in parts if part))


def _memory(items: Sequence[str]) -> str:
    return "# What the person has asked us to remember\n" + "\n".join(f"- {item}" for item in items) if items else ""


def _documents(overview: Overview) -> str:
    if not overview.documents:
        return "# Documents\n(none)"
    lines = [f"- {doc.path} ({doc.characters} characters)" for doc in overview.documents]
    if overview.more:
        lines.append(f"- and {overview.more} more: search finds them")
    for table in overview.tables:
        columns = ", ".join(f"{name} {kind}" for name, kind in table.columns)
        lines.append(f"- table {table.name} from {table.path}: {table.rows} rows; {columns}")
        lines += [f"  - {column}: {', '.join(values)}" for column, values in sorted(table.samples.items())]
    return "# Documents\n" + "\n".join(lines)


def _previous(history: Sequence[RunEvent]) -> str:
    turns = [turn for body in bodies(history, ConversationRecalled) for turn in body.turns]
    return "# Earlier in this conversation\n" + "\n".join(f"- {q}\n  {a}" for q, a in turns) if turns else ""


def _form(form: Form | None) -> str:
    if form is None:
        return ""
    head = f"# Form of the answer\nOne JSON object, {form.name}, by this JSON Schema:"
    return "\n".join(part for part in (head, form.json_schema, form.about) if part)


def _story(task: Task, history: Sequence[RunEvent]) -> Iterator[Message]:
    """Plans and findings in the order of the log, so that a new round only adds. A worker sees what its step needs."""
    for event in history:
        body = event.body
        if isinstance(body, PlanProposed | PlanEdited):
            yield Message("assistant", from_record(f"Plan:\n{_json(body.plan)}"))
        elif isinstance(body, StepFinished) and (not isinstance(task, StepTask) or body.outcome in task.known):
            yield Message("user", from_record(_finding(body.outcome)))


def _finding(outcome: StepOutcome) -> str:
    refs = ", ".join(source.ref for source in outcome.sources) or "none"
    return f"Finding of step {outcome.step_id} ({outcome.status}):\n{outcome.finding}\nSources: {refs}"


def _instruction(prompts: Prompts, task: Task, form: Form | None) -> Redacted:
    parts = [prompts.texts[task.role]]
    if isinstance(task, PlanTask) and task.feedback:
        parts.append("The last plan was not enough:\n" + "\n".join(f"- {reason}" for reason in task.feedback))
    elif isinstance(task, StepTask):
        parts.append(f"Your step:\n{_json(task.step)}")
        if task.feedback:
            parts.append(f"The critic missed this at the last attempt: {task.feedback}")
    elif isinstance(task, ReviewTask):
        parts.append(f"This is review round {task.round + 1}.")
    elif isinstance(task, AnswerTask):
        parts += _writing(task, form)
    return _text(*parts)


def _writing(task: AnswerTask, form: Form | None) -> list[str]:
    numbered = [f"[{n}] {source.ref}: {source.quote}" for n, source in enumerate(task.sources, 1)]
    parts = [_FORMED if form else task.profile.instruction(), "Sources:\n" + ("\n".join(numbered) or "(none)")]
    if task.stopped:
        parts.append(f"The run had to stop early: {task.stopped}. Say so, and answer with what there is.")
    if task.verdict and task.verdict.decision != "accept":
        parts.append("The critic still misses:\n" + "\n".join(f"- {reason}" for reason in task.verdict.reasons))
    return parts


def _json(value: Value | BaseModel) -> str:
    return orjson.dumps(value.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode()
