"""Answers to what a hosted graph asks, by whichever client: the thread goes on from there, once for each question."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from graph.ports import ApprovalDecision
from serving.api.openai.asking import Asking
from serving.api.openai.hosted import ASKS, HostedTelling, launch
from serving.api.openai.messages import ChatMessage
from serving.api.openai.questions import questions_of, resume_of
from serving.api.openai.turn import Turn
from serving.api.openai.waiting import reply_of
from serving.api.sdk.run_streams import outcome
from serving.database import Row
from serving.errors import NotFound, Unprocessable
from serving.runs.requests.launch import RunCommand
from serving.services import ApiServices

_RUN: Final = re.compile(r"[0-9a-f-]{36}")
_IN_VAIN: Final = frozenset({"error", "timeout", "cancelled"})


def run_that_asks(told: str) -> str | None:
    """Whose question an answer is: it ends with the run's address."""
    question, _, address = told.rpartition("/runs/")
    found = _RUN.fullmatch(address.rstrip())
    return found[0] if found and ASKS in question else None


async def asker_of(services: ApiServices, graph: str, sent: Sequence[ChatMessage]) -> Row | None:
    """The run whose question, with its address, is the last answer that the person has before them."""
    told = next((each.text for each in reversed(sent) if each.role == "assistant"), "")
    if run_id := run_that_asks(told):
        with suppress(NotFound, Unprocessable):
            row = await services.launches.get(None, run_id)
            return row if row["graph"] == graph else None
    return None


async def replied(
    services: ApiServices, asker: Row, text: str, body: Asking, base: str, key: str | None
) -> Turn | None:
    """The run that goes on from what `asker`'s asks, by a person's words: a plain yes or no allows or forbids all that
    it asks in a known shape, and to one question in a shape of its own they are the answer. Whoever replies again has
    the same run. None where nothing waits there, or the words decide nothing."""
    interrupts = await _waiting(services, asker)
    key, taker = await taken(services, str(asker["run_id"]), "reply", key)
    if taker and not (interrupts and taker["status"] in _IN_VAIN):
        return Turn(await services.runs.get(str(taker["run_id"])), 0, base, HostedTelling, ends=False)
    resume = resume_by(text, interrupts)
    if not resume:
        return None
    kept = {"kept": body.kept().model_dump(exclude_defaults=True)}
    thread = str(asker["thread_id"])
    return await launch(services, body.model, RunCommand(resume=resume), thread, body.metadata, base, key, asked=kept)


async def taken(services: ApiServices, asker: str, what: str, key: str | None) -> tuple[str, Row | None]:
    """The key under which this question of `asker` is answered, and the last run that took an answer. What a run that
    came to nothing took can be answered again, with another key, if it is asked still."""
    if key is not None:
        return key, await _run_of(services, key)
    taker = None
    while run := await _run_of(services, made := f"answer-to-{asker}-{what}"):
        taker, asker = run, str(run["run_id"])
        if run["status"] not in _IN_VAIN:
            break
    return made, taker


async def _run_of(services: ApiServices, key: str) -> Row | None:
    """The run that this key has made; None also where it is about to."""
    run_id = await services.idempotency.made("run", key)
    with suppress(NotFound):
        return await services.launches.get(None, run_id) if run_id else None
    return None


async def waiting_on(services: ApiServices, thread: str) -> list[Any]:
    """The interrupts that wait for an answer."""
    waiting = (await services.threads.get(thread))["interrupts"] or {}
    return [each for of_task in waiting.values() for each in of_task]


async def _waiting(services: ApiServices, asker: Row) -> list[Any]:
    """Those of them that this run left."""
    values = orjson.loads(await outcome(services, asker))
    left = values.get("__interrupt__") if isinstance(values, dict) else None
    ids = {each["id"] for each in left or ()}
    return [each for each in await waiting_on(services, str(asker["thread_id"])) if each["id"] in ids]


def resume_by(text: str, interrupts: Sequence[Any]) -> dict[str, Any]:
    questions = [questions_of(each) for each in interrupts]
    if len(interrupts) == 1 and not questions[0]:
        return {str(interrupts[0]["id"]): text}
    said = reply_of(text)
    if said is None or not all(questions):
        return {}
    asked = [question.approval_id for each in questions for question in each]
    decisions: list[ApprovalDecision] = [said.model_copy(update={"approval_id": id_}) for id_ in asked]
    return resume_of(decisions, interrupts)
