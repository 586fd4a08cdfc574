"""What a client resumes the agent with, as decisions: one shape or another, of one question or of all that wait."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from graph.approval import read_decision
from graph.ports import ApprovalDecision, ApprovalRequest
from serving.errors import Conflict, Unprocessable


def decisions_of(resume: Any, waiting: Sequence[ApprovalRequest]) -> dict[str, ApprovalDecision]:
    """By approval id. Each answer is in LangChain's HITL shape, Agent Inbox's, AG-UI's or our own; several come as a
    mapping by id, as a list in the order of the questions, or as `decisions` in it.

    Raises Conflict where nothing waits, Unprocessable for what can't be read or answers none of them.
    """
    if not waiting:
        raise Conflict("no run of this thread waits for an answer", "send input instead", "no_decision_pending")
    questions = {each.id: each for each in waiting}
    answers = _by_id(resume, questions) or _in_order(resume, waiting) or _alone(resume, questions)
    read = {id_: read_decision(answer, questions[id_].name) for id_, answer in answers.items()}
    if not read or None in read.values():
        hint = '{"decisions": [{"type": "approve"}]}, or a mapping of these ids to answers: ' + ", ".join(questions)
        raise Unprocessable("command.resume answers none of the questions that wait", hint)
    return {id_: _as_asked(decision, questions[id_]) for id_, decision in read.items() if decision}


def _as_asked(decision: ApprovalDecision, question: ApprovalRequest) -> ApprovalDecision:
    """Pages on which a person edits arguments send each of them as text."""
    given = decision.arguments or {}
    read = {name: _parsed(value) if _was_no_text(question, name) else value for name, value in given.items()}
    return decision.model_copy(update={"arguments": read}) if given else decision


def _was_no_text(question: ApprovalRequest, name: str) -> bool:
    return not isinstance(question.arguments.get(name, ""), str)


def _parsed(value: Any) -> Any:
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value


def _by_id(resume: Any, questions: Mapping[str, ApprovalRequest]) -> dict[str, Any]:
    if isinstance(resume, Mapping):
        return dict(resume) if resume and resume.keys() <= questions.keys() else {}
    if not isinstance(resume, list):
        return {}
    found = {_id_in(answer): answer for answer in resume}
    return {id_: answer for id_, answer in found.items() if id_} if found.keys() <= questions.keys() else {}


def _id_in(answer: Any) -> str:
    return str(answer.get("interruptId") or answer.get("approval_id") or "") if isinstance(answer, Mapping) else ""


def _in_order(resume: Any, waiting: Sequence[ApprovalRequest]) -> dict[str, Any]:
    given = resume.get("decisions") if isinstance(resume, Mapping) else resume
    if not isinstance(given, list) or len(given) != len(waiting) or len(given) == 1:
        return {}
    return {question.id: answer for question, answer in zip(waiting, given, strict=True)}


def _alone(resume: Any, questions: Mapping[str, ApprovalRequest]) -> dict[str, Any]:
    """The one answer: to the question that it names, or to the only one. Clients that read the thread's state know a
    question by LangGraph's id of it, which stands for the only one, too."""
    for id_, question in questions.items():
        decision = read_decision(resume, question.name)
        if decision and (decision.approval_id == id_ or (decision.approval_id is None and len(questions) == 1)):
            return {id_: resume}
    if isinstance(resume, Mapping) and len(resume) == len(questions) == 1:
        return {next(iter(questions)): next(iter(resume.values()))}
    return {}
