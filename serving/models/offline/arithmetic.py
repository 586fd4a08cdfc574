"""Sums in words as an expression for the calculator: `15% of 2,340 plus 12.5` is `15/100*2340+12.5`."""

import re
from decimal import Decimal
from typing import Final

from serving.models.offline import vocabulary as v
from serving.models.offline.language import number_of, plain

_NUMBER: Final = r"(?:[€$£]\s?)?\d+(?:[.,]\d+)*(?:\s?(?:€|EUR|USD|GBP|CHF|euros?|dollars?|pounds?))?"
REFERENCE: Final = re.compile(
    r"\b(?:that|it|this|the (?:result|total|sum|figure|amount|answer|value|price|cost)|them|these|those)\b",
    re.IGNORECASE,
)
_WORDS: Final = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"\b(\d+(?:\.\d+)?)\s?(?:%|percent|per cent) (?:vat |tax |discount )?(?:of|on|from)\s+", r"\1/100*"),
        (r"\bhalf of\s+", "1/2*"),
        (r"\b(?:twice|double)\s+", "2*"),
        (r"\b(?:plus|added to|increased by)\b", "+"),
        (r"\b(?:minus|less|reduced by)\b", "-"),
        (r"\b(?:times|multiplied by)\b|×|(?<=\d) ?x ?(?=\d)", "*"),
        (r"\bdivided by\b|\bover\b|÷", "/"),
        (r"\bto the power of\b|\^", "**"),
        (r"([-+])\s*(\d+(?:\.\d+)?)\s?(?:%|percent)", r"*(1\1\2/100)"),
    )
)
_FRAME: Final = v.either(
    """what is are s calculate compute how much the result of sum average total mean product difference between and tell
    me work out percent per cent euro euros eur usd vat tax on please can you by to increase decrease add it"""
)
_OVER_LIST: Final = re.compile(
    r"\b(sum|total|average|mean|product|difference)\b(?: of| between)?\s+([\d\s.,]+and [\d.]+)"
)
_BETWEEN: Final = {"sum": "+", "total": "+", "product": "*", "difference": "-"}


def expression(text: str, known: Decimal | None = None) -> str:
    """The expression that a text asks to calculate, or nothing. `known` stands in for `that`, `it`, `the total`."""
    if known is not None:
        text = REFERENCE.sub(plain(known), text, count=1)
    lower = re.sub(_NUMBER, lambda match: _digits(match.group()), text).lower()
    if listed := _OVER_LIST.search(lower):
        numbers = re.findall(r"\d+(?:\.\d+)?", listed[2])
        mean = listed[1] in ("average", "mean")
        return f"avg({', '.join(numbers)})" if mean else _BETWEEN[listed[1]].join(numbers)
    for pattern, instead in _WORDS:
        lower = pattern.sub(instead, lower)
    return _longest_sum(lower)


def _digits(text: str) -> str:
    number = number_of(re.sub(r"[^\d.,]", "", text))
    return text if number is None else plain(number)


def _longest_sum(text: str) -> str:
    """The longest run of digits, operators and parentheses that really calculates."""
    runs = [re.sub(r"\s+", "", run).rstrip("*/+-.,(") for run in re.findall(r"[\d(][\d\s.()+*/%-]*", text)]
    sums = [run for run in runs if re.search(r"[\d)%][-+*/]+[\d(]", run) and run.count("(") == run.count(")")]
    return max(sums, key=len, default="").replace("%", "/100")


def is_arithmetic(text: str) -> bool:
    """Whether a text is a sum over its own numbers, with no other subject."""
    found = expression(text)
    if found and re.search(rf"\d\s?(?:%|percent|per cent) (?:of|on|off) {_NUMBER}", text):
        return True
    words = text.lower()
    for pattern, _ in _WORDS:
        words = pattern.sub(" ", words)
    return bool(found) and not re.search(r"[^\W\d_]{2,}", re.sub(rf"\b(?:{_FRAME})\b", " ", words))
