"""What a client resumes the agent with, as decisions: one shape or another, of one question or of all that wait."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from graph.approval import flat, read_decision
from graph.ports import ApprovalDecision, ApprovalRequest
from graph.verdict import read_verdict
from serving.errors import Conflict, Unprocessable
from serving.runs.decisions.questions import Decision, Question, id_of

_WORDS: Final = "happened, did_not or retry"


def decisions_of(resume: Any, waiting: Sequence[Question]) -> dict[str, Decision]:
    """By the question's id. Each answer is in LangChain's HITL shape, Agent Inbox's, AG-UI's or our own; several come
    as a mapping by id, as a list in the order of the questions, or as `decisions` in it.

    Raises Conflict where nothing waits, Unprocessable for what can't be read or answers none of them.
    """
    if not waiting:
        raise Conflict("no run of this thread waits for an answer", "send input instead", "no_decision_pending")
    questions = {id_of(each): each for each in waiting}
    answers = _by_id(resume, questions) or _in_order(resume, waiting) or _alone(resume, questions)
    read = {id_: _read(answer, questions[id_]) for id_, answer in answers.items()}
    if not read or None in read.values():
        ids = [id_ if isinstance(each, ApprovalRequest) else f"{id_} ({_WORDS})" for id_, each in questions.items()]
        hint = '{"decisions": [{"type": "approve"}]}, or a mapping of these ids to answers: ' + ", ".join(ids)
        raise Unprocessable("command.resume answers none of the questions that wait", hint)
    return {id_: decision for id_, decision in read.items() if decision}


def _read(answer: Any, question: Question) -> Decision | None:
    if not isinstance(question, ApprovalRequest):
        verdict = read_verdict(answer)
        return verdict and verdict.model_copy(update={"round": question.round})
    decision = read_decision(answer, question.name)
    return decision and _as_asked(decision, question)


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


def _by_id(resume: Any, questions: Mapping[str, Question]) -> dict[str, Any]:
    if isinstance(resume, Mapping):
        return dict(resume) if resume and resume.keys() <= questions.keys() else {}
    if not isinstance(resume, list):
        return {}
    found = {_id_in(answer): answer for answer in resume}
    return {id_: answer for id_, answer in found.items() if id_} if found.keys() <= questions.keys() else {}


def _id_in(answer: Any) -> str:
    return str(answer.get("interruptId") or answer.get("approval_id") or "") if isinstance(answer, Mapping) else ""


def _in_order(resume: Any, waiting: Sequence[Question]) -> dict[str, Any]:
    given = resume.get("decisions") if isinstance(resume, Mapping) else resume
    if not isinstance(given, list) or len(given) != len(waiting) or len(given) == 1:
        return {}
    return {id_of(question): answer for question, answer in zip(waiting, given, strict=True)}


def _alone(resume: Any, questions: Mapping[str, Question]) -> dict[str, Any]:
    """The one answer: to the question that it names, or to the only one. Clients that read the thread's state know a
    question by LangGraph's id of it, which stands for the only one, too."""
    named = (flat(resume) or {}).get("approval_id")
    for id_, question in questions.items():
        if named in (id_, None if len(questions) == 1 else id_) and _read(resume, question):
            return {id_: resume}
    if isinstance(resume, Mapping) and len(resume) == len(questions) == 1:
        return {next(iter(questions)): next(iter(resume.values()))}
    return {}
