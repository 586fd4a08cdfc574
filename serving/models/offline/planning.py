"""A goal as a plan: questions side by side; files, e-mails and further sums behind the findings they need."""

import re
from typing import Final

from graph.ports import PlanTask
from graph.state import MAX_STEPS, Plan, Step
from serving.models.offline.english import LIGHT, STOP, stems

_BREAK: Final = re.compile(
    r"(?i)(?<=[?!])\s+|(?-i:(?:(?<=[a-z\d\])])|(?<=[A-Z]{2}))\.\s+(?=[A-Z\[]))|;\s+|\n+(?:[-*]\s+|\d+[.)]\s+)?"
    r"|(?:,|,?\s+(?:and(?: then| also| finally)?|then|also|plus)\s*,?)\s+(?=(?:please\s+)?(?:whom?|whose|what|when"
    r"|where|which|why|how|is|are|was|were|do|does|did|can|may|must|will|should|has|have|in which|by when|since when"
    r"|at what|until|for how|to whom|by how|find|look|tell|give|show|list|name|calculate|compute|sum|add|count|compare"
    r"|check|get|explain|summari[sz]e|write|save|create|store|put|draft|compose|prepare|send|e-?mail|mail)\b)"
)
_POLITE: Final = re.compile(
    r"(?i)^(?:(?:hi|hello|please|finally|first|then|also|(?:can|could|would) you|i (?:want|need|would like) (?:you )?to"
    r"(?: know)?|let me know|tell me|find out|look up|find)[,!]? )+"
)
_STATEMENT: Final = re.compile(r"(?i)(?!.*\?)(?:remember|note that|from now on|always|i |my |we )")
_SETTING: Final = re.compile(r"(?i)(?:(in|from)|according to|based on) (?:\S+ ){0,4}\S+[^?!.;\s]$")
FILE: Final = re.compile(r"(?i)\b[\w-]+\.(?:md|txt|csv|html|json)\b")
_SAVE: Final = re.compile(rf"(?i)\b(?:write|save|create|store|put|export|summari[sz]e)\b.*{FILE.pattern[4:]}")
_MAIL: Final = re.compile(r"(?is)^(draft|compose|prepare|write|send|e-?mail|mail)\b.*(?:mail|message|\[EMAIL|@)")
# What stands around the contents in an order to write: the verb, the kind of writing, the place it goes to.
_PLACE: Final = r" *(?:\b(?:to|in|into|as|by)(?: an?)?(?: file| e-?mail to)? )?(?:\[\w+\]|\S+@\S+|[\w-]+\.\w{2,4}\b)"
_AROUND: Final = re.compile(
    r"(?i)^\w[\w-]*\b(?: (?:an?|the|short|brief|e-?mail|mail|message|summary|note|report|down|draft|of)\b)*"
    rf"(?:{_PLACE})?(?: +(?:with|about|containing|stating|that (?:states|says))\b)?|{_PLACE}"
)
POINTS_BACK: Final = re.compile(r"(?i)\b(?:that|it|this|them|these|those|the (?:result|total|sum|amount|cost))\b")
_REFERS: Final = re.compile(rf"{POINTS_BACK.pattern}|\b(?:they|its|their|he|she)\b|^(?:and )?(?:what about|for|in) ")
_FURTHER: Final = re.compile(r"(?i)(.*?\d ?(?:%|percent)) of (the .+?)\W*$|\d ?%|percent|\b(?:times|plus|minus|half)\b")
_LOOKING: Final = ("query_table", "search_documents")
_DONE: Final = "It is quoted or computed, with its source; or written, or said to be missing"


def plan(task: PlanTask) -> Plan:
    """At most 12 steps. What a follow-up question leaves out, the question before it says."""
    steps: list[Step] = []
    about = task.previous[-1][0] if task.previous else ""
    for clause in clauses(task.goal):
        before = tuple(step.id for step in steps if not action(step.goal))
        further = _FURTHER.search(clause)
        if tool := action(clause):
            inner = _AROUND.sub("", clause).strip(" .")
            covered = not _strong(inner) or any(_strong(inner) <= stems(step.goal) for step in steps)
            before = before if covered else (*before, _add(steps, inner))
            _add(steps, clause, (tool,), before)
        elif further and (further[2] or (before and POINTS_BACK.search(clause))):
            needs = (_add(steps, f"What is {further[2]}?"),) if further[2] else before[-1:]
            _add(steps, f"{further[1]} of that" if further[2] else clause, ("calculate",), needs)
        else:
            refers = about and len(_strong(clause)) <= 2 and _REFERS.search(clause)
            _add(steps, f"{clause} (about: {about.rstrip('?. ')})" if refers else clause)
            about = clause
    return Plan(steps=tuple(steps))


def _add(steps: list[Step], goal: str, tools: tuple[str, ...] = _LOOKING, needs: tuple[str, ...] = ()) -> str:
    if len(steps) < MAX_STEPS:
        steps.append(Step(id=f"s{len(steps) + 1}", goal=goal[:2000], depends_on=needs, tools=tools, done_when=_DONE))
    return steps[-1].id


def clauses(goal: str) -> list[str]:
    """The goal's questions and orders; what the person states is left out where there is more."""
    joined: list[str] = []
    for part in [_POLITE.sub("", part.strip(" ,.")).strip() for part in _BREAK.split(goal.strip()) if part]:
        # "In the price list, which ...?" is asked like "Which ... in the price list?".
        if joined and (setting := _SETTING.match(joined[-1])):
            joined.pop()
            part = f"{part.rstrip('?. ')} {setting[0][0].lower()}{setting[0][1:]}?" if setting[1] else part
        # "and by whom?" has no subject of its own: it belongs to what stands before it.
        if joined and len(part.split()) < 4 and not _strong(part) and joined[-1][-1] != "?":
            joined[-1] += f", {part}"
        elif stems(part) - STOP:
            joined.append(part)
    return [part for part in joined if not _STATEMENT.match(part)] or joined[:1] or [goal.strip()]


def action(clause: str) -> str:
    """The tool that writes what a clause orders: a file or an e-mail; empty for a question."""
    mail = _MAIL.search(clause)
    if _SAVE.search(clause) or not mail:
        return "write_artifact" if _SAVE.search(clause) else ""
    return "send_email" if mail[1].lower().endswith(("send", "mail")) else "draft_email"


def _strong(text: str) -> frozenset[str]:
    return stems(text) - LIGHT - STOP - stems("result answer figure finding email mail message note report them it by")
