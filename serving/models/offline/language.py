"""Text as the offline model compares it: stems with synonyms, and quantities with units and ranges."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from serving.models.offline import vocabulary as v

TOKEN: Final = re.compile(r"\[[A-Z_]+_\d+\]|\d+(?:[.,]\d+)*(?!\w)|[^\W_]+(?:[-./&'’][^\W_]+)*")
DATED: Final = re.compile(
    r"\d{4}-\d\d(?:-\d\d)?|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b\d{1,2}:\d\d"
    rf"|(?:\b\d{{1,2}}(?:st|nd|rd|th)?\s+)?\b(?:{'|'.join(v.MONTHS)})\b(?:\s+\d{{1,2}}(?!\d),?)?(?:\s+\d{{4}})?",
    re.IGNORECASE,
)
_GLUED: Final = re.compile(r"(\d+(?:[.,]\d+)*)([a-z]+)", re.IGNORECASE)
_ADJECTIVES: Final = v.words("working business calendar full paid consecutive additional further us square operating")
_UPPER: Final = re.compile(r"\b(up to|at most|maximum|max|not? more than|below|under|less than|until)\W*(?:of )?$")
_LOWER: Final = re.compile(r"\b(above|over|more than|exceed(?:s|ing)?|from|at least|greater than|minimum)\W*(?:of )?$")
_ONWARDS: Final = re.compile(r"^\s*(or more|and more|and above|and over|or above|upwards|\+)")
_JOINED: Final = re.compile(r"^\s*(?:to|and|-|–|—)\s*$")
INFINITE: Final = Decimal(10) ** 18


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text. `size` is the amount in its dimension's smallest unit; `unit` is empty for a bare number."""

    amount: Decimal
    unit: str
    dimension: str
    size: Decimal
    start: int
    end: int
    text: str

    @property
    def called(self) -> str:
        """The unit as people write it."""
        word = re.search(r"[^\W\d_]+$", self.text)
        return self.unit.upper() if self.dimension == "money" else word.group() if word and self.unit else self.unit


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A word without its English endings; coarse, and the same on both sides of every comparison."""
    word = v.IRREGULAR.get(word.lower(), word.lower())
    while True:
        for suffix, shortest in v.SUFFIXES:
            rest = word.removesuffix(suffix)
            if rest != word and len(rest) >= shortest and re.search("[aeiouy]", rest):
                word = rest
                break
        else:
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


@lru_cache(maxsize=50_000)
def keys(token: str) -> tuple[str, ...]:
    """What a token is compared by: a code without its separators, a number by its value, words by their stems."""
    word = token.lower().removesuffix("'s").removesuffix("’s")
    if word in v.NUMBERS:
        return (str(v.NUMBERS[word]),)
    if (number := number_of(word)) is not None:
        return (plain(number),)
    if any(c.isdigit() for c in word):
        return (re.sub(r"\W", "", word),)
    return tuple(stem(part) for part in re.split(r"\W", word.replace("e-mail", "email")) if part)


@lru_cache(maxsize=4_096)
def stems(text: str) -> frozenset[str]:
    """Every key of a text, with the words that its phrases stand for."""
    lower = text.lower()
    found = [key for match in TOKEN.finditer(text.replace("_", " ")) for key in keys(match.group())]
    return frozenset([*found, *(stem(word) for phrase, word in v.PHRASES.items() if phrase in lower)])


def content(text: str) -> frozenset[str]:
    """The keys of a text's meaningful words."""
    return frozenset(key for token in TOKEN.findall(text) if token.lower() not in v.STOP for key in keys(token))


@lru_cache(maxsize=4_096)
def synonyms(key: str) -> frozenset[str]:
    return frozenset(other for group in _GROUPS if key in group for other in group) - {key}


@lru_cache(maxsize=4_096)
def actor(key: str) -> str:
    """The borrower is who borrowed: a doer's key as that of the deed."""
    return stem(f"{key[:-2]}e") if len(key) > 6 and key.endswith(("er", "or")) else key


@lru_cache(maxsize=4_096)
def kin(key: str) -> frozenset[str]:
    """Keys that may stand for another: synonyms, the deed for the doer and the doer for the deed."""
    return (synonyms(key) | {actor(key), f"{key}er", f"{key}or", f"{key}ator"}) - {key}


def related(key: str) -> tuple[str, ...]:
    """The synonyms of a key as words, to search for."""
    return tuple(word for group in v.SYNONYMS if key in map(stem, group) for word in group if stem(word) != key)


_GROUPS: Final = tuple(frozenset(stem(word) for word in group) for group in v.SYNONYMS)
WEAK: Final = frozenset(stem(word) for word in v.WEAK)


def number_of(text: str) -> Decimal | None:
    """`5,000` `1.234,50` `7.50` `4,90` as a number; None for anything else."""
    if not re.fullmatch(r"\d+(?:[.,]\d+)*", text):
        return None
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        return Decimal(text.replace(",", ""))
    if re.fullmatch(r"\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,}", text):
        return Decimal(text.replace(".", "").replace(",", "."))
    single = text.replace(",", ".")
    return Decimal(single) if single.count(".") <= 1 else None


def plain(number: Decimal) -> str:
    """The shortest exact text of a number, without an exponent."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(maxsize=4_096)
def quantities(text: str) -> tuple[Quantity, ...]:
    """Every number of a text that is not part of a date, a time or a code, with its unit."""
    masked = DATED.sub(lambda match: "\0" * len(match.group()), text)
    tokens = list(TOKEN.finditer(masked))
    found = (_quantity(text, masked, tokens, at) for at in range(len(tokens)))
    return tuple(quantity for quantity in found if quantity)


def _quantity(text: str, masked: str, tokens: list[re.Match[str]], at: int) -> Quantity | None:
    word, start, end = tokens[at].group().lower(), tokens[at].start(), tokens[at].end()
    glued = _GLUED.fullmatch(word)
    amount = number_of(glued[1]) if glued else _spelled(word)
    if amount is None or (glued and glued[2] not in {*v.UNITS, *v.SCALES}):
        return None
    words = [(glued[2], end)] if glued else []
    for token in tokens[at + 1 : at + 4]:
        if re.search(r"[^\s-]", masked[words[-1][1] if words else end : token.start()]):
            break
        words.append((token.group().lower(), token.end()))
    if words and words[0][0] in v.SCALES:
        amount, end = amount * v.SCALES[words[0][0]], words.pop(0)[1]
    before = re.search(r"(?:[€$£]|\b(?:[A-Z]{3}))\s?$", masked[:start])
    if before and (unit := before.group().strip().lower()) in v.UNITS:
        start = before.start()
    else:
        unit, end = _unit(masked[end:], words, end)
    dimension, factor = v.UNITS.get(unit, (f"count of {unit}", 1))
    return Quantity(amount, unit, dimension, amount * Decimal(str(factor)), start, end, text[start:end])


def _spelled(word: str) -> Decimal | None:
    tens, _, ones = word.partition("-")
    if tens not in v.NUMBERS or (ones and ones not in v.NUMBERS):
        return number_of(word)
    return Decimal(v.NUMBERS[tens] + v.NUMBERS.get(ones, 0))


def _unit(after: str, words: list[tuple[str, int]], end: int) -> tuple[str, int]:
    """The unit behind a number: a sign, a known unit (`5 working days`), or the noun that is counted."""
    if sign := re.match(r"\s?([%€$£]|°C)", after):
        return sign[1].lower(), end + sign.end()
    for at, (word, stop) in enumerate(words):
        unit = word if word in v.UNITS else word.removesuffix("s")
        if unit in v.UNITS and all(other in _ADJECTIVES for other, _ in words[:at]):
            return unit, stop
    if words and words[0][0].isalpha() and words[0][0] not in v.STOP:
        return stem(words[0][0]), words[0][1]
    return "", end


def nearest(numbers: Iterable[Quantity], text: str, wanted: frozenset[str]) -> Quantity | None:
    """The quantity that stands closest to one of the wanted words, or to a synonym of one; else the first."""
    alike = frozenset(other for key in wanted for other in synonyms(key))
    tokens = [(token.start(), set(keys(token.group()))) for token in TOKEN.finditer(text)]
    places = [at for at, own in tokens if own & wanted] or [at for at, own in tokens if own & alike] or [0]
    return min(numbers, key=lambda number: min(abs(number.start - at) for at in places), default=None)


def ranges(text: str) -> tuple[tuple[Decimal, Decimal, str], ...]:
    """The bounds that a text sets, as in `up to 500 EUR` or `500 to 5,000 EUR`: (above this, up to this, dimension)."""
    found, numbers, lower = [], quantities(text), text.lower()
    for at, number in enumerate(numbers):
        following = numbers[at + 1] if at + 1 < len(numbers) else None
        if following and _JOINED.match(lower[number.end : following.start]) and following.size > number.size:
            _, factor = v.UNITS.get(following.unit, ("", 1))
            low = number.size if number.dimension == following.dimension else number.amount * Decimal(str(factor))
            found.append((low, following.size, following.dimension))
        elif _UPPER.search(lower[: number.start]):
            found.append((-INFINITE, number.size, number.dimension))
        elif _LOWER.search(lower[: number.start]) or _ONWARDS.match(lower[number.end :]):
            found.append((number.size, INFINITE, number.dimension))
    return tuple(found)
