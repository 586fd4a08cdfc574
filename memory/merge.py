"""How a new statement stands to what is already remembered: the same, instead of, or beside it."""

import re
from collections.abc import Iterable
from typing import Final

from memory.item import Item
from memory.proposals import Proposal

_WORD: Final = re.compile(r"\[[A-Z_]+\d+\]|[^\W_]+(?:[.,'’-][^\W_]+)*")
_NEGATIONS: Final = frozenset("never not no don't doesn't without avoid hate dislike can't cannot".split())
# Words that say that something is stated, not what: "please always give me ..." and "I want ..." are the same wish.
_FILLERS: Final = frozenset(
    "i i'm i'd me my you your we our us a an the of to in on at as for and so that this it is are be am will would should must do"
    " does please always ever usually generally normally want need like prefer expect rather have give show use keep put remember"
    " note mind bear forget future reference from now going forward default by all any only also just really make sure"
    " everything call".split()
)


def says_the_same(proposal: Proposal, item: Item) -> bool:
    return _meaning(proposal.text) == _meaning(item.text)


def superseded(proposal: Proposal, items: Iterable[Item]) -> Item | None:
    """The item that `proposal` takes the place of: it fills the same slot, or says the opposite."""
    negated, words = _meaning(proposal.text)
    for item in items:
        if proposal.slot and item.slot == proposal.slot or _meaning(item.text) == (not negated, words):
            return item
    return None


def _meaning(text: str) -> tuple[bool, tuple[str, ...]]:
    """(negated, content words in order). Order counts: "A before B" is not "B before A"."""
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    content = [_singular(word) for word in words if word not in _FILLERS and word not in _NEGATIONS]
    return not _NEGATIONS.isdisjoint(words), tuple(content or words)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
