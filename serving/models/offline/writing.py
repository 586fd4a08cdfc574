"""The answer: the findings in order, each with the numbers of its sources, in the form that the channel wants."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from graph.ports import AnswerTask
from graph.state import Source, StepOutcome
from serving.models.offline.language import quantities

_CURRENCY: Final = re.compile(r"\bamounts? in ([A-Z]{3})\b")
_CODES: Final = {"€": "EUR", "euro": "EUR", "$": "USD", "dollar": "USD", "£": "GBP", "pound": "GBP"}
_SHORT: Final = re.compile(r"\b(?:one|a single) sentence\b", re.IGNORECASE)


def write(task: AnswerTask) -> str:
    ordered = sorted(task.outcomes, key=lambda outcome: (len(outcome.step_id), outcome.step_id))
    said = [_part(outcome, task) for at, outcome in enumerate(ordered) if not _said_again(outcome, ordered[at + 1 :])]
    parts = list(dict.fromkeys(said)) or ["Nothing was looked up, so there is no answer."]
    if task.stopped:
        parts.append(f"The run stopped early: {task.stopped}.")
    if note := _currency(" ".join(parts), task.memory):
        parts.append(note)
    if task.channel == "voice":
        return _spoken(parts)
    if any(_SHORT.search(item) for item in task.memory):
        return "; ".join(_flat(part).rstrip(".") for part in parts) + "."
    return "\n\n".join(parts)


def _said_again(outcome: StepOutcome, later: Sequence[StepOutcome]) -> bool:
    """Whether a comparison follows that repeats the finding: its two look-ups stand right before it."""
    said = [quantity.text for quantity in quantities(outcome.finding)]
    for other in later[:2]:
        compares = ", against " in other.finding or " are equal: " in other.finding
        if compares and outcome.status == "done" and any(text in other.finding for text in said):
            return True
        if other.finding.startswith("The comparison can't") and outcome.finding in other.finding:
            return True
    return False


def _part(outcome: StepOutcome, task: AnswerTask) -> str:
    text = outcome.finding.strip()
    marks = "".join(f"[{number}]" for number in _numbers(outcome, task))
    if task.channel == "voice" or not marks:
        return text
    head, line, rest = text.partition("\n")
    if line and not head.startswith("- "):
        return f"{head} {marks}\n{rest}"
    return f"{text} {marks}"


def _numbers(outcome: StepOutcome, task: AnswerTask) -> list[int]:
    """A finding without sources of its own rests on those whose figures it repeats."""
    sources: Sequence[Source] = outcome.sources
    if not sources and outcome.status == "done":
        said = _figures(outcome.finding) - _figures(task.goal)
        others = [other for other in task.outcomes if other is not outcome and said & _figures(other.finding)]
        sources = [source for other in others for source in other.sources]
    refs = {source.ref for source in sources}
    return [number for number, source in enumerate(task.sources, 1) if source.ref in refs]


def _figures(text: str) -> set[Decimal]:
    return {quantity.amount for quantity in quantities(text)}


def _currency(text: str, memory: Sequence[str]) -> str:
    """Amounts stay as the documents give them; when that is not as the person wants them, the answer says so."""
    wanted = next((match[1] for item in memory if (match := _CURRENCY.search(item))), "")
    used = {_CODES.get(q.unit, q.unit.upper()) for q in quantities(text) if q.dimension == "money"} - {"CENT"}
    if not wanted or used <= {wanted}:
        return ""
    given = ", ".join(sorted(used))
    return f"Amounts are as the documents give them ({given}), not converted to {wanted}: they hold no rate."


def _spoken(parts: Sequence[str]) -> str:
    return " ".join(_flat(part) for part in parts)


def _flat(part: str) -> str:
    lines = [re.sub(r"^- |[*_#`“”]", "", line).strip() for line in part.split("\n")]
    return f"{lines[0]} {'; '.join(lines[1:])}".strip() if len(lines) > 1 else lines[0]
