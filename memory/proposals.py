"""What a person states as lasting, found by rules in what they said: never in documents, results or recalled text.

A rule fires on one sentence. A goal that fires more than `MAX_PROPOSALS` times is a pasted text: it proposes nothing.
"""

from dataclasses import dataclass
from typing import Final

from memory.item import Kind, require_redacted
from memory.rules import ABOUT_THE_TASK, REQUEST, RULES, STANDING
from memory.slots import slot_of
from memory.statements import statements
from privacy.placeholder import find
from privacy.redact import Redacted, from_record

MAX_PROPOSALS: Final = 8
MIN_LENGTH: Final = 3
MAX_LENGTH: Final = 300

# Whom and where to reach; every other kind of placeholder stands for something that must not be kept.
_KEPT_PLACEHOLDERS: Final = frozenset({"PERSON", "NAME", "EMAIL", "PHONE", "LOCATION", "ORGANIZATION", "LITERAL"})


@dataclass(frozen=True, slots=True)
class Proposal:
    """A statement that could be remembered. `slot` names the question it answers; "" if none is known."""

    text: Redacted
    kind: Kind
    slot: str
    confidence: float
    source: str = ""


def extract(goal: Redacted, source: str = "") -> tuple[Proposal, ...]:
    """The lasting statements in what the person said, in order. Raises TypeError for text that was not redacted."""
    require_redacted(goal)
    found = tuple(proposal for said, bare in statements(goal) if (proposal := _propose(said, bare, source)))
    return found if len(found) <= MAX_PROPOSALS else ()


def _propose(said: str, bare: str, source: str) -> Proposal | None:
    if not STANDING.search(bare) and (REQUEST.search(bare) or ABOUT_THE_TASK.search(bare)):
        return None
    rule = next(((kind, sure) for kind, sure, pattern in RULES if pattern.search(bare)), None)
    text = " ".join(said.split())
    if rule is None or not is_storable(text):
        return None
    kind, confidence = rule
    return Proposal(from_record(text), kind, slot_of(text), confidence, source)


def is_storable(text: str) -> bool:
    """Long enough to say something, short enough for a prompt, printable, and without a secret's placeholder."""
    printable = all(character.isprintable() for character in text)
    kept = all(found.placeholder.kind in _KEPT_PLACEHOLDERS for found in find(text))
    return MIN_LENGTH <= len(text) <= MAX_LENGTH and printable and kept
