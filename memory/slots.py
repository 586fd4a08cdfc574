"""Slots: questions that have one answer at a time. A new statement in a slot replaces the old one."""

import re
from typing import Final

_CURRENCY: Final = (
    r"(?:eur|usd|gbp|chf|jpy|cny|sek|nok|dkk|pln|czk|cad|aud|inr|brl|euros?|dollars?|pounds?|francs?|yen|yuan|rupees?)"
)
_LANGUAGE: Final = (
    r"(?:english|german|french|spanish|portuguese|italian|dutch|polish|czech|swedish|danish|norwegian|finnish|greek|turkish"
    r"|arabic|hindi|japanese|korean|chinese|ukrainian|russian|romanian|hungarian)"
)
_SLOTS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (slot, re.compile(pattern, re.IGNORECASE))
    for slot, pattern in (
        ("our currency", rf"^we (?:use|work (?:with|in)|report in)\b.*\b{_CURRENCY}\b|\bour (?:\w+ )?currency is\b"),
        ("currency", rf"\b(?:amount|total|sum|price|figure|value|cost|everything)s?\b.*\bin {_CURRENCY}\b"),
        ("currency", rf"\bmy (?:preferred )?currency is\b|\b(?:use|show|quote) {_CURRENCY}\b"),
        ("language of {0}", rf"\b(reports|e-?mails|letters|summaries)\b in {_LANGUAGE}\b"),
        ("language", rf"\b(?:answer|answers|reply|replies|respond|write|speak|talk)(?: to)?(?: me)? in {_LANGUAGE}\b"),
        ("language", rf"\bmy (?:preferred )?language is\b|\bi (?:always )?(?:want|prefer) {_LANGUAGE}\b"),
        ("name", r"\bcall me\b|\brefer to me as\b|\bmy (?:nick|first |full |last )?name is\b"),
        ("fiscal year", r"\b(?:fiscal|financial|business) year (?:starts|begins|ends|runs|is)\b"),
        ("date format", r"\bdates? (?:as|in|like)\b|\biso dates?\b|\bdate format is\b"),
        ("units", r"\b(?:metric|imperial)\b"),
        ("decimals", r"\bdecimal places?\b|\bround\b.*\b(?:totals?|amounts?|figures?)\b"),
        ("time zone", r"\bmy time ?zone is\b"),
        ("workplace", r"^i work (?:in|at|for)\b"),
        ("role", r"^i work as\b|\bmy (?:role|job|job title|title|position|profession) is\b"),
        ("home", r"^i live in\b|^i(?:'m| am) (?:based|located) in\b"),
        ("{0}", r"^(?:please )?((?:my|our) (?:[a-z]+ ){0,2}[a-z]+) (?:is|are)\b"),
    )
)
# "Never in EUR", "in USD for American customers": such a statement stands beside the general one.
_PARTIAL: Final = re.compile(
    r"\b(?:never|not|no|don't|doesn't|without|for|when|whenever|if|unless|except|every time|each time)\b", re.IGNORECASE
)


def slot_of(text: str) -> str:
    """The slot a statement fills, or "" if it stands beside any other."""
    if _PARTIAL.search(text):
        return ""
    for slot, pattern in _SLOTS:
        if match := pattern.search(text):
            return slot.format(*(group.lower() for group in match.groups()))
    return ""
