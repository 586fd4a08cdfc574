"""How a new statement stands to what is already remembered: the same, instead of, or beside it."""

import re
from collections.abc import Iterable
from typing import Final

from memory.item import Item
from memory.proposals import Proposal

_WORD: Final = re.compile(r"\[[A-Z_]+\d+\]|[^\W_]+(?:[.,'’-][^\W_]+)*")
_NEGATIONS: Final = frozenset(
    ("never", "not", "no", "don't", "doesn't", "without", "avoid", "hate", "dislike", "can't", "cannot")
)
# What says that something is stated, not what: "please always give me ..." and "from now on I want ..." are one wish.
_PHRASES: Final = re.compile(
    r"\b(?:from now on|going forward|in (?:the )?future|by default|as a rule)\b", re.IGNORECASE
)
_FILLER_WORDS: Final = (
    "a all also always am an and any are be bear call do does ever expect forget generally give have i i'd i'm is it "
    "just keep like make me mind must need normally note now only please prefer put rather really remember should show "
    "so sure that the us use usually want we will would you your"
)
_FILLERS: Final = frozenset(_FILLER_WORDS.split())


def says_the_same(proposal: Proposal, item: Item) -> bool:
    return _meaning(proposal.text) == _meaning(item.text)


def superseded(proposal: Proposal, items: Iterable[Item]) -> Item | None:
    """The item that `proposal` takes the place of: it fills the same slot, or says the opposite."""
    negated, words = _meaning(proposal.text)
    for item in items:
        if (proposal.slot and item.slot == proposal.slot) or _meaning(item.text) == (not negated, words):
            return item
    return None


def _meaning(text: str) -> tuple[bool, tuple[str, ...]]:
    """(negated, content words in order). Order counts: "A before B" is not "B before A"."""
    words = [word.lower().replace("’", "'") for word in _WORD.findall(_PHRASES.sub(" ", text))]
    content = [_singular(word) for word in words if word not in _FILLERS and word not in _NEGATIONS]
    return not _NEGATIONS.isdisjoint(words), tuple(content or words)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
