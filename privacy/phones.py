"""Telephone numbers in text: four shapes, each confirmed by libphonenumber where the shape alone says too little."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

import phonenumbers

_GAP: Final = r"[ \u00a0\u202f().\-\u2010-\u2013/]"
_DIGIT: Final = rf"(?:{_GAP}{{0,2}}[0-9])"
_SLASH: Final = rf" / [0-9]{_DIGIT}{{4,9}}"  # behind the area's number alone: further on another one begins
_ALONE: Final = r"(?<![\w+-])(?<!\d[./])"
_ENDS: Final = r"(?!\w)(?!-\w)(?![./]\d)"
NO_MONEY: Final = r"(?!\s?(?:EUR|USD|GBP|CHF|€|\$|£|%))"
"""What follows is no currency and no per cent sign: an amount is not a number of someone."""

_INTERNATIONAL: Final = re.compile(
    rf"(?<![\w+])(?:\+ ?|00)[1-9](?:{_DIGIT}{{6,14}}|{_DIGIT}{{2,6}}{_SLASH}){_ENDS}{NO_MONEY}"
)
_TRUNK: Final = re.compile(rf"{_ALONE}\(?0[1-9][0-9]{{0,4}}(?:{_GAP}{{1,2}}[0-9]{_DIGIT}{{4,9}}|{_SLASH}){_ENDS}")
_AMERICAN: Final = re.compile(
    rf"{_ALONE}(?:1[-. ])?(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}(?P<gap>[-. ]))[2-9][0-9]{{2}}[-. ][0-9]{{4}}{_ENDS}"
)
_PLAIN: Final = re.compile(
    rf"{_ALONE}(?:[0-9]{{9,13}}|[0-9]{{3}}(?: [0-9]{{3}}){{2}}|[2-9][0-9]{{2}}-[0-9]{{4}}){_ENDS}"
)
_DATE: Final = re.compile(r"[0-9]{1,2}([./ -])[0-9]{1,2}\1(?:[0-9]{4}|[0-9]{2}(?!\1?[0-9]))")

# Regions that dial a leading zero inside the country, so that a zero and gaps make a telephone's shape.
_TRUNK_REGIONS: Final = ("DE", "GB", "FR", "IT", "NL", "AT", "CH", "BE", "SE", "IE", "AU", "IN")
_ALL_REGIONS: Final = ("US", *_TRUNK_REGIONS, "ES", "PT", "PL", "DK", "NO", "BR", "IL")

SURE: Final = 0.8
LIKELY: Final = 0.5
NEEDS_LABEL: Final = 0.2


def find_phones(text: str) -> Iterator[tuple[int, int, float]]:
    """(start, end, score) of what may be a telephone number."""
    for match in _INTERNATIONAL.finditer(text):
        end = _longest_dialable(match)
        if end:
            yield match.start(), end, SURE
    for match in _TRUNK.finditer(text):
        if not _DATE.match(match[0]) and _valid(match[0], _TRUNK_REGIONS):
            yield match.start(), match.end(), LIKELY
    for match in _AMERICAN.finditer(text):
        if match["gap"] != " " or _valid(match[0], ("US",)):
            yield match.start(), match.end(), LIKELY
    for match in _PLAIN.finditer(text):
        if "-" in match[0] or _valid(match[0], _ALL_REGIONS):
            yield match.start(), match.end(), NEEDS_LABEL


def _longest_dialable(match: re.Match[str]) -> int:
    """Where the number ends: all of it, or without the last groups if those belong to the next number."""
    groups = [match.start() + gap.start() for gap in re.finditer(rf"{_GAP}+", match[0])]
    ends = reversed([*groups, match.end()])
    return next((end for end in ends if _dialable(match.string[match.start() : end])), 0)


def _dialable(candidate: str) -> bool:
    """A number someone could be reached at; after "+" also one from a range that is reserved for examples."""
    try:
        number = phonenumbers.parse(f"+{candidate.lstrip('+0 ')}")
    except phonenumbers.NumberParseException:
        return False
    if phonenumbers.is_valid_number(number):
        return True
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return possible and candidate[0] == "+" and sum(map(str.isdigit, candidate)) >= 10


def _valid(candidate: str, regions: tuple[str, ...]) -> bool:
    return any(map(partial(_valid_in, candidate), regions))


def _valid_in(candidate: str, region: str) -> bool:
    try:
        number = phonenumbers.parse(candidate, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)
