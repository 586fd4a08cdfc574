"""A goal as a plan: its questions side by side, its sums, files and e-mails behind the findings they need."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from graph.ports import PlanTask
from graph.state import MAX_STEPS, Plan, Step
from serving.models.offline.arithmetic import REFERENCE, expression, is_arithmetic
from serving.models.offline.comparing import Comparison, comparison
from serving.models.offline.language import WEAK, stem
from serving.models.offline.lookup import table_question
from serving.models.offline.question import content

_ASKING: Final = r"who|whom|whose|what|when|where|which|why|how|is|are|was|were|do|does|did|can|may|must|should|will|has|have|in which|by when|since when|at what|within|until when|for how|to whom|by how|from when"
_DOING: Final = (
    r"find|look|tell|give|show|list|name|state|calculate|compute|work out|sum|add|count|compare|check|determine|get|explain|describe"
    r"|summari[sz]e|write|save|create|store|put|draft|compose|prepare|send|e-?mail|mail|report|identify|answer|multiply|divide|subtract"
)
_BREAK: Final = re.compile(
    rf"(?<=[?!])\s+|(?<=[a-z\d\])])\.\s+(?=[A-Z\[])|;\s+|\n+(?:[-*]\s+|\d+[.)]\s+)?"
    rf"|,?\s+(?:and(?: then| also| finally)?|then|also|plus|as well as)\s*,?\s+(?=(?:please\s+)?(?:{_ASKING}|{_DOING})\b)"
    rf"|,\s+(?=(?:{_ASKING}|{_DOING})\b)",
    re.IGNORECASE,
)
_POLITE: Final = re.compile(
    r"^(?:(?:hi|hello|hey)[,!. ]+|please,?\s+|kindly\s+|(?:can|could|would) you (?:please )?|i(?:'d| would) like (?:you )?to (?:know |find out )?"
    r"|i (?:want|need) (?:you )?to (?:know |find out )?|let me know |tell me |find out |and |then |also |finally,? |first,? |next,? |look up |using [^,]+, )+",
    re.IGNORECASE,
)
WRITING: Final = re.compile(r"\b(?:write|save|create|store|put|record|export|produce|summari[sz]e)\b", re.IGNORECASE)
FILE: Final = re.compile(r"\b[\w-]+\.(?:md|txt|csv|html|json)\b", re.IGNORECASE)
MAILING: Final = re.compile(r"\be-?mail\b|\bsend\b|\bmail\b|\bmessage\b", re.IGNORECASE)
MAIL_VERB: Final = re.compile(r"^(?:draft|compose|prepare|write|send|e-?mail|mail|create)\b", re.IGNORECASE)
_INSIDE: Final = re.compile(
    r"(?:^summari[sz]e|\b(?:with|about|containing|including|saying|stating|that says|that states|summari[sz]ing|of|on|listing))\s+(?P<inner>.+)$", re.IGNORECASE
)
_LOOSE: Final = frozenset(
    stem(w) for w in """total result answer figure finding number summary sum amount file email mail message note report document
    short brief concise draft write save send create store put text line sentence paragraph bullet point result difference
    summarise summarize new content output findings answers figures numbers team colleague memo message it""".split()
)  # fmt: skip
_PRONOUN: Final = re.compile(r"\b(?:it|they|them|its|their|this|that|these|those|he|she|there)\b", re.IGNORECASE)
REMEMBER: Final = re.compile(r"^(?:remember|note that|from now on|always|i always|i prefer|my )\b", re.IGNORECASE)


@dataclass
class _Draft:
    steps: list[Step]

    def add(self, goal: str, done_when: str, tools: tuple[str, ...], depends_on: tuple[str, ...] = ()) -> str:
        same = next((step for step in self.steps if step.goal == goal), None)
        if same:
            return same.id
        if len(self.steps) < MAX_STEPS:
            self.steps.append(
                Step(id=f"s{len(self.steps) + 1}", goal=goal[:2000], depends_on=depends_on, tools=tools, done_when=done_when[:1000])
            )
        return self.steps[-1].id

    def questions(self) -> tuple[str, ...]:
        return tuple(step.id for step in self.steps if not {"write_artifact", "draft_email", "send_email"} & set(step.tools))


def plan(task: PlanTask) -> Plan:
    draft = _Draft([])
    about = task.previous[-1][0] if task.previous else ""
    for clause in clauses(task.goal):
        _place(clause, _topic(clause, about), task, draft)
        if not (MAILING.search(clause) or FILE.search(clause)):
            about = clause
    if not draft.steps:
        draft.add(task.goal.strip(), "The goal's question is answered from a source", ("search_documents",))
    return Plan(steps=tuple(draft.steps))


def clauses(goal: str) -> list[str]:
    """The goal's questions and orders, each able to stand alone; mere statements are left out when there are others."""
    parts = [_POLITE.sub("", part.strip(" ,.")).strip() for part in _BREAK.split(goal.strip()) if part and part.strip(" ,.?")]
    joined: list[str] = []
    for part in parts:
        if joined and not content(part) - WEAK:
            joined[-1] = f"{joined[-1].rstrip('?')}, {part}" if len(part.split()) > 1 else joined[-1]
        elif part:
            joined.append(part)
    asking = [part for part in joined if re.match(rf"(?:{_ASKING}|{_DOING}|draft)\b", part, re.IGNORECASE) or "?" in part]
    if asking and len(asking) < len(joined):
        # "The warranty on the X200": no verb, yet a question; a sentence about the person is none.
        asking = [part for part in joined if part in asking or not re.search(r"\b(?:i|we|my|our|am|always|prefer)\b", part, re.IGNORECASE)]
    return asking or joined


def _topic(clause: str, about: str) -> str:
    """The clause, with what it points back to: `who approves it?` needs the sentence before."""
    few = len(content(clause) - WEAK) <= 2
    if about and about != clause and _PRONOUN.search(clause) and few and not re.search(r"\d\s?%", clause):
        return f"{clause} (about: {about.rstrip('?. ')})"
    if about and re.match(r"(?:what|how) about|for |in ", clause, re.IGNORECASE) and few:
        return f"{clause} (about: {about.rstrip('?. ')})"
    return clause


def _place(clause: str, goal: str, task: PlanTask, draft: _Draft) -> None:
    before = draft.questions()
    file = FILE.search(clause)
    if MAILING.search(clause) and MAIL_VERB.match(clause):
        needs = _inner(re.sub(r"\bto (?:\[\w+\]|\S+@\S+)", " ", clause), task, draft, before)
        tool = "send_email" if re.match(r"(?:send|e-?mail|mail)\b", clause, re.IGNORECASE) and not re.search(r"\bdraft\b", clause, re.IGNORECASE) else "draft_email"
        draft.add(clause, f"{tool} accepted the e-mail, and it holds the findings", (tool,), needs)
    elif file and WRITING.search(clause):
        needs = _inner(clause.replace(file.group(), " "), task, draft, before)
        draft.add(clause, f"{file.group()} is written and holds the findings", ("write_artifact",), needs)
    elif is_arithmetic(clause):
        draft.add(clause, "The calculator returned the figure", ("calculate",))
    elif before and expression(clause, Decimal(1)) and REFERENCE.search(clause):
        draft.add(clause, "The calculator returned the figure", ("calculate",), before[-1:])
    elif part := re.search(r"(\d+(?:[.,]\d+)?\s?(?:%|percent)) of (the .+)", clause, re.IGNORECASE):
        found = draft.add(f"What is {part[2].rstrip('?.')}?", "A figure is quoted from a source", ("search_documents",))
        draft.add(f"What is {part[1]} of that ({part[2].rstrip('?.')})?", "The calculator returned the figure", ("calculate",), (found,))
    elif (compared := comparison(clause)) and not ((table := table_question(clause, task.overview)) and not table.unexplained):
        _compare(clause, compared, draft)
    else:
        _ask(goal, task, draft)


def _ask(goal: str, task: PlanTask, draft: _Draft) -> str:
    table = table_question(goal, task.overview)
    if REMEMBER.match(goal) and "?" not in goal:
        return draft.add(goal, "The statement is noted", ())
    if table:
        tools: tuple[str, ...] = ("query_table", "search_documents")
        return draft.add(goal, f"A query over {', '.join(table.sheet.paths)} returned what is asked", tools)
    tools = ("search_documents", "read_document", *(("calculate",) if re.search(r"\b(?:sum|total|add)\b", goal, re.IGNORECASE) else ()))
    return draft.add(goal, "A passage that answers it is quoted with its source", tools)


def _inner(clause: str, task: PlanTask, draft: _Draft, before: tuple[str, ...]) -> tuple[str, ...]:
    """The steps a file or an e-mail rests on: those before it, and a look-up of what it is to hold."""
    inside = _INSIDE.search(clause)
    inner = re.sub(r"\s+(?:to|in|into|as|by)\s*(?:a file|file)?\s*(?:called|named)?\s*[.\"']*$", "", inside["inner"].strip(" .")) if inside else ""
    strong = content(inner) - WEAK - _LOOSE
    if not inner or not strong or (before and _PRONOUN.search(inner) and len(strong) < 1):
        return before
    asks = re.match(rf"(?:{_ASKING})\b", inner, re.IGNORECASE)
    known = [step.id for step in draft.steps if strong <= content(step.goal)]
    if known:
        return before
    goal = inner if asks or table_question(inner, task.overview) else f"Summarise {inner}"
    return (*before, _ask(goal, task, draft))


def _compare(clause: str, compared: Comparison, draft: _Draft) -> None:
    found = tuple(
        draft.add(question, f"The value for {option} is quoted with its source", ("search_documents",))
        for option, question in compared.questions()
    )
    draft.add(f"Compare: {clause}", "Both values are named, and which is ahead", ("calculate",), found)
