"""The sentences of a goal that the person says themselves: nothing quoted, pasted, asked or imagined."""

import re
from collections.abc import Iterator
from typing import Final

_LONGEST_TALK: Final = 10_000
_FENCE: Final = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_CITED_LINE: Final = re.compile(r"(?m)^[ \t]*(?:>|\|).*$")
_QUOTED: Final = re.compile(r'"[^"\n]*"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|(?<!\w)[\'‘`][^\'’`\n]+[\'’`](?!\w)')
# "Translate: ...", "Summarise this email: ...", "The manual says: ...": what follows is somebody's text.
_HAND_OVER: Final = re.compile(
    r"\b(?:translat\w*|summari[sz]\w*|proofread|rewrit\w*|rephras\w*|paraphras\w*|correct|review|explain|analy[sz]e|draft"
    r"|write|reply|says?|said|states?|reads?|writes?|wrote|the following|below|attached|(?:e-?mail|letter|text|message"
    r"|note|document|policy|snippet|excerpt|transcript|quote)s?)\b[^.?!:\n]{0,80}:",
    re.IGNORECASE,
)
_ABBREVIATED: Final = re.compile(r"\b(?:e\.g|i\.e|incl|approx|vs|dr|mr|mrs|ms|prof)\.(?= )", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"[^\n.?!]*(?:[.?!]+(?=\S)[^\n.?!]*)*(?:[.?!]+|\n|$)")
_QUESTION: Final = re.compile(
    r"^(?:and |so |but |then )?(?:what|which|who|whom|whose|where|when(?!ever)|why|how|is|are|was|were|am|did|does|has"
    r"|have|had|can|could|would|will|shall|may|might)\b|^(?:do|should) (?:i|we|you|they|the|my|our|any|these|those)\b",
    re.IGNORECASE,
)
_SUPPOSED: Final = re.compile(
    r"^(?:if|suppose|supposing|assume|assuming|imagine|say|let's say|what if|unless|pretend)\b", re.IGNORECASE
)
_REPORTED: Final = re.compile(
    r"\b(?:says?|said|wrote|writes|states?|stated|claims?|claimed|tells|told|thinks?|believes?|asks|asked|according to)"
    r"\b"
    r"|\bignore (?:all|any|every|the|my|your|previous|prior|these|those)\b|\byou are now\b",
    re.IGNORECASE,
)
_ONE_OFF: Final = re.compile(
    r"\b(?:this time|today|tonight|tomorrow|yesterday|for now|right now|just now|just once|only once|until|till"
    r"|(?:for|in|on|of) (?:this|these|that|those) (?:one|time|report|comparison|question|run|task|file|document|table"
    r"|list|order|week|month|case|answer|summary|e-?mail|letter)"
    r"|(?:this|last|next) (?:week|month|quarter|year)|here|attached|no longer|any ?more|never ?mind)\b",
    re.IGNORECASE,
)
_FROM_TODAY: Final = re.compile(r"\bfrom (?:today|this day|tomorrow) (?:on|onwards?|forward)\b", re.IGNORECASE)


def statements(goal: str) -> Iterator[tuple[str, str]]:
    """(sentence as said, the same with quotations blanked out) for each sentence that states something lasting or not.

    Both have the same length; rules match on the second and keep the first.
    """
    talk = _hand_over_cut(_blank(_CITED_LINE, _blank(_FENCE, goal[:_LONGEST_TALK], "\n"), "\n"))
    masked = _blank(_ABBREVIATED, _blank(_QUOTED, talk, "_"), "_").replace("’", "'")
    for match in _SENTENCE.finditer(masked):
        said, bare = talk[match.start() : match.end()], match.group()
        indent = len(bare) - len(bare.lstrip(" \t-*•"))
        said, bare = said[indent:].rstrip(), bare[indent:].rstrip()
        if bare and _is_stated(bare):
            yield said, bare


def _is_stated(sentence: str) -> bool:
    timeless = _FROM_TODAY.sub("from now on", sentence)
    return not (
        "?" in sentence
        or "..." in sentence
        or _QUESTION.search(sentence)
        or _SUPPOSED.search(sentence)
        or _REPORTED.search(sentence)
        or _ONE_OFF.search(timeless)
    )


def _blank(pattern: re.Pattern[str], text: str, filler: str) -> str:
    return pattern.sub(lambda match: filler * len(match.group()), text)


def _hand_over_cut(text: str) -> str:
    handed = _HAND_OVER.search(text)
    return text[: handed.end()] if handed else text
