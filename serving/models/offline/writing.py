"""The answer: the findings in order, each with the numbers of its sources, in the form that the channel wants."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from graph.ports import AnswerTask
from graph.state import StepOutcome
from serving.models.offline.language import quantities

_CURRENCY: Final = re.compile(r"\bamounts? in ([A-Z]{3})\b")
_CODES: Final = {"€": "EUR", "EURO": "EUR", "$": "USD", "DOLLAR": "USD", "£": "GBP", "POUND": "GBP"}
_SHORT: Final = re.compile(r"\b(?:one|a single) sentence\b", re.IGNORECASE)


def write(task: AnswerTask) -> str:
    ordered = sorted(task.outcomes, key=lambda outcome: (len(outcome.step_id), outcome.step_id))
    said = [_part(outcome, task) for at, outcome in enumerate(ordered) if not _said_again(outcome, ordered[at + 1 :])]
    parts = list(dict.fromkeys(said)) or ["Nothing was looked up, so there is no answer."]
    parts += [f"The run stopped early: {task.stopped}."] if task.stopped else []
    parts += _currency(" ".join(parts), task.memory)
    if task.channel == "voice":
        return " ".join(_flat(part) for part in parts)
    if any(_SHORT.search(item) for item in task.memory):
        return "; ".join(_flat(part).rstrip(".") for part in parts) + "."
    return "\n\n".join(parts)


def _said_again(outcome: StepOutcome, later: Sequence[StepOutcome]) -> bool:
    """Whether a comparison follows that repeats the finding: its two look-ups stand right before it."""
    said = [quantity.text for quantity in quantities(outcome.finding)] if outcome.status == "done" else []
    compared = (o.finding for o in later[:2] if ", against " in o.finding or " are equal: " in o.finding)
    return any(text in finding for finding in compared for text in said)


def _part(outcome: StepOutcome, task: AnswerTask) -> str:
    head, line, rest = outcome.finding.strip().partition("\n")
    marks = "".join(f"[{number}]" for number in _numbers(outcome, task))
    if task.channel == "voice" or not marks:
        return f"{head}{line}{rest}"
    return f"{head}{line}{rest} {marks}" if head.startswith("- ") else f"{head} {marks}{line}{rest}"


def _numbers(outcome: StepOutcome, task: AnswerTask) -> list[int]:
    """A finding without sources of its own rests on those whose figures it repeats."""
    sources = list(outcome.sources)
    if not sources and outcome.status == "done":
        said = _figures(outcome.finding) - _figures(task.goal)
        sources = [source for other in task.outcomes if said & _figures(other.finding) for source in other.sources]
    refs = {source.ref for source in sources}
    return [number for number, source in enumerate(task.sources, 1) if source.ref in refs]


def _figures(text: str) -> set[Decimal]:
    return {quantity.amount for quantity in quantities(text)}


def _currency(text: str, memory: Sequence[str]) -> list[str]:
    """Amounts stay as the documents give them; when that is not as the person wants them, the answer says so."""
    wanted = next((match[1] for item in memory if (match := _CURRENCY.search(item))), "")
    units = {quantity.called for quantity in quantities(text) if quantity.dimension == "money"}
    given = ", ".join(sorted({_CODES.get(unit, unit) for unit in units} - {wanted}))
    note = f"Amounts are as the documents give them ({given}), not converted to {wanted}: they hold no rate."
    return [note] if wanted and given else []


def _flat(part: str) -> str:
    head, *lines = [re.sub(r"^- |[*_#`“”]", "", line).strip() for line in part.split("\n")]
    return f"{head} {'; '.join(lines)}".strip()
