"""A goal as a plan: questions side by side; sums, comparisons, files and e-mails behind the findings they need."""

import re
from decimal import Decimal
from typing import Final

from graph.ports import PlanTask
from graph.state import MAX_STEPS, Plan, Step
from serving.models.offline import vocabulary as v
from serving.models.offline.arithmetic import REFERENCE, expression, is_arithmetic
from serving.models.offline.comparing import Comparison, comparison
from serving.models.offline.language import WEAK, content, stems
from serving.models.offline.lookup import table_question

_ASKING: Final = v.either(
    """who whom whose what when where which why how is are was were do does did can may must will should has have
    in_which by_when since_when at_what within until_when for_how to_whom by_how from_when"""
)
_DOING: Final = v.either(
    """find look tell give show list name state calculate compute work_out sum add count compare check determine get
    explain describe summarise summarize write save create store put draft compose prepare send e-mail email mail report
    identify answer multiply divide subtract"""
)
_BREAK: Final = re.compile(
    r"(?<=[?!])\s+|(?<=[a-z\d\])])\.\s+(?=[A-Z\[])|;\s+|\n+(?:[-*]\s+|\d+[.)]\s+)?"
    r"|(?:,|,?\s+(?:and(?: then| also| finally)?|then|also|plus|as well as)\s*,?)"
    rf"\s+(?=(?:please\s+)?(?:{_ASKING}|{_DOING})\b)",
    re.IGNORECASE,
)
_POLITE: Final = re.compile(
    r"^(?:(?:hi|hello|hey)[,!. ]+|(?:please|finally|first|next|kindly|and|then|also),? "
    r"|(?:can|could|would) you (?:please )?|i(?:'d| would) like (?:you )?to (?:know )?"
    r"|i (?:want|need) (?:you )?to (?:know )?|(?:let me know|tell me|find out|look up) )+",
    re.IGNORECASE,
)
_ABOUT_THE_PERSON: Final = re.compile(r"\b(?:i|we|my|our|am|always|prefer)\b", re.IGNORECASE)
_WRITING: Final = re.compile(r"\b(?:write|save|create|store|put|record|export|summari[sz]e)\b", re.IGNORECASE)
_MAILING: Final = re.compile(r"^(?:draft|compose|prepare|write|send|e-?mail|mail|create)\b", re.IGNORECASE)
_MAIL: Final = re.compile(r"\be-?mail\b|\bsend\b|\bmail\b|\bmessage\b", re.IGNORECASE)
_SENDING: Final = re.compile(r"^(?:send|e-?mail|mail)\b(?!.*\bdraft\b)", re.IGNORECASE | re.DOTALL)
_TO: Final = re.compile(r"\bto (?:\[\w+\]|\S+@\S+)")
_INSIDE: Final = re.compile(
    r"(?:^summari[sz]e|\b(?:with|about|containing|stating|that (?:says|states)|summary of))\s+(?P<inner>.+)$",
    re.IGNORECASE,
)
_VERB: Final = re.compile(r"^\w[\w-]*\s+(?:an? e-?mail\b|down\b)?\s*", re.IGNORECASE)
_TAIL: Final = re.compile(r"\s+(?:to|in|into|as|by)\s*(?:a file|file)?\s*(?:called|named)?\s*[.\"']*$")
# What a file or an e-mail is said to hold when it only points back to what was found before.
_LOOSE: Final = WEAK | stems(
    """total result answer figure finding summary email mail message note report short brief draft write save send
    create store put text line sentence difference summarise summarize new content output it"""
)
_PRONOUN: Final = re.compile(r"\b(?:it|they|them|its|their|this|that|these|those|he|she|there|one)\b", re.IGNORECASE)
_ELLIPSIS: Final = re.compile(r"(?:what|how) about|for |in ", re.IGNORECASE)
_SHARE: Final = re.compile(r"(\d+(?:[.,]\d+)?\s?(?:%|percent)) of (the .+)", re.IGNORECASE)
_STATEMENT: Final = re.compile(r"(?:remember|note that|from now on|always|i always|i prefer|my )\b", re.IGNORECASE)
_ACTING: Final = v.words("write_artifact draft_email send_email")
FILE: Final = re.compile(r"\b[\w-]+\.(?:md|txt|csv|html|json)\b", re.IGNORECASE)


def plan(task: PlanTask) -> Plan:
    draft = _Draft(task)
    about = task.previous[-1][0] if task.previous else ""
    for clause in clauses(task.goal):
        draft.place(clause, _with_topic(clause, about))
        if not (_MAIL.search(clause) or FILE.search(clause)):
            about = clause
    return Plan(steps=tuple(draft.steps))


def clauses(goal: str) -> list[str]:
    """The goal's questions and orders, each able to stand alone; what the person says of themselves is left out."""
    parts = [_POLITE.sub("", part.strip(" ,.")).strip() for part in _BREAK.split(goal.strip()) if part]
    joined: list[str] = []
    for part in [part for part in parts if part.strip("?!. ")]:
        # "and by how much?" has no subject of its own: it belongs to what stands before it.
        if joined and joined[-1][-1] != "?" and len(part.split()) < 4 and not content(part) - WEAK:
            joined[-1] = f"{joined[-1].rstrip('?')}, {part}"
        else:
            joined.append(part)
    asking = [part for part in joined if re.match(rf"(?:{_ASKING}|{_DOING})\b", part, re.IGNORECASE) or "?" in part]
    kept = [part for part in joined if part in asking or not _ABOUT_THE_PERSON.search(part)]
    return (kept if asking else joined) or [goal.strip()]


def is_mail(clause: str) -> bool:
    return bool(_MAIL.search(clause) and _MAILING.match(clause))


def is_file(clause: str) -> bool:
    return bool(FILE.search(clause) and _WRITING.search(clause))


def is_statement(clause: str) -> bool:
    """`I always want amounts in EUR`: to be remembered, nothing to be found."""
    return bool(_STATEMENT.match(clause)) and "?" not in clause


def mail_tool(clause: str) -> str:
    return "send_email" if _SENDING.match(clause) else "draft_email"


def _with_topic(clause: str, about: str) -> str:
    """`who approves it?` needs the sentence before it."""
    back = _PRONOUN.search(clause) and not re.search(r"\d\s?%", clause)
    few = len(content(clause) - WEAK) <= 2
    points = about and about != clause and few and (back or _ELLIPSIS.match(clause))
    return f"{clause} (about: {about.rstrip('?. ')})" if points else clause


class _Draft:
    """A plan that grows clause by clause."""

    def __init__(self, task: PlanTask) -> None:
        self.task = task
        self.steps: list[Step] = []

    def place(self, clause: str, goal: str) -> None:
        before = tuple(step.id for step in self.steps if _ACTING.isdisjoint(step.tools))
        file, share, compared = FILE.search(clause), _SHARE.search(clause), comparison(clause)
        if is_mail(clause):
            tool, needs = mail_tool(clause), self._needs(_TO.sub(" ", clause), before)
            self._add(clause, f"{tool} took the e-mail with the findings", (tool,), needs)
        elif file and is_file(clause):
            needs = self._needs(clause.replace(file.group(), " "), before)
            self._add(clause, f"{file.group()} is written and holds the findings", ("write_artifact",), needs)
        elif is_arithmetic(clause):
            self._calculate(clause, ())
        elif before and REFERENCE.search(clause) and expression(clause, Decimal(1)):
            self._calculate(clause, before[-1:])
        elif share:
            subject = share[2].rstrip("?.")
            self._calculate(f"What is {share[1]} of that ({subject})?", (self.look_up(f"What is {subject}?"),))
        elif compared and ((table := table_question(clause, self.task.overview)) is None or table.unexplained):
            self._compare(clause, compared)
        else:
            self.look_up(goal)

    def look_up(self, goal: str) -> str:
        if is_statement(goal):
            return self._add(goal, "The statement is noted", ())
        if table := table_question(goal, self.task.overview):
            done_when = f"A query over {table.table.path} returned what is asked"
            return self._add(goal, done_when, ("query_table", "search_documents"))
        return self._add(goal, "A passage that answers it is quoted with its source", ("search_documents",))

    def _add(self, goal: str, done_when: str, tools: tuple[str, ...], needs: tuple[str, ...] = ()) -> str:
        known = next((step.id for step in self.steps if step.goal == goal), None)
        if known or len(self.steps) == MAX_STEPS:
            return known or self.steps[-1].id
        id_ = f"s{len(self.steps) + 1}"
        self.steps.append(Step(id=id_, goal=goal[:2000], depends_on=needs, tools=tools, done_when=done_when[:1000]))
        return id_

    def _calculate(self, goal: str, needs: tuple[str, ...]) -> None:
        self._add(goal, "The calculator returned the figure", ("calculate",), needs)

    def _compare(self, clause: str, compared: Comparison) -> None:
        found = tuple(
            self._add(question, f"The value for {option} is quoted with its source", ("search_documents",))
            for option, question in compared.questions()
        )
        self._add(f"Compare: {clause}", "Both values are named, and which is ahead", ("calculate",), found)

    def _needs(self, clause: str, before: tuple[str, ...]) -> tuple[str, ...]:
        """The steps that a file or an e-mail rests on: those before it, and a look-up of what it is to hold."""
        inside = _INSIDE.search(clause)
        inner = _TAIL.sub("", (inside["inner"] if inside else _VERB.sub("", clause)).strip(" ."))
        strong = content(inner) - _LOOSE
        if not strong or any(strong <= content(step.goal) for step in self.steps):
            return before
        asks = re.match(rf"(?:{_ASKING})\b", inner, re.IGNORECASE) or table_question(inner, self.task.overview)
        return (*before, self.look_up(inner if asks else f"Summarise {inner}"))
