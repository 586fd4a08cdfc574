"""Text as the offline model compares it: stems, words that may stand for each other, numbers with units."""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from serving.documents.words import STOP_WORDS, words

_SAY_NOTHING: Final = """again altogether between check compare describe done down each either ever every exactly
    explain find gave give given got had here know let like list long look lot made make many might much must need now
    off often once our own per provide say see shall show soon still tell told under until up very want whether yet
    far quickly instead together into onto am thing one away without dr mr mrs ms"""
# Words that a passage or a table may leave out and still hold the answer.
_LIGHT: Final = """add allow allowed amount apply brought business charity company content cooperative club cost count
    current date day deal dealt detail document employ employee entitled exist expense file firm follow full get go
    group handle happen have hold hour include information involve item kind left may member minute money month number
    offer office organisation overall pay people person place policy possible procedure guideline process put receive
    record require required rule saw send sent shop start step sum summary summarise summarize take team time total
    type use value week work worth year order bought sell sold issue arrive visit earn goes went donate moment
    currently reading bring spend spent combined different register agency clinic museum school"""
# Words that may stand for each other.
_SYNONYMS: Final = """approve authorise sign / price cost fee charge rate / employee staff worker people person
    colleague / vacation holiday leave / holiday trip journey travel / m2 square metre / m3 cubic metre / km kilometre
    / kg kilogram kilo / cancel terminate / delivery shipping / duration length term period / deadline due /
    responsible accountable owner own head lead / doctor physician / maximum max limit most / minimum least / phone
    telephone call ring / salary wage earn / customer client / invoice bill / late later delay overdue / rent hire /
    hotel accommodation / warranty guarantee / travel transport flight / keep kept retain store / supplier vendor
    supply supplies / answer respond response reply reaction / remote telework / weight weigh heavy / purchase buy
    buyer bought order / refund reimburse / mandatory required / free gratis / begin start first / end finish last
    expire until / year annual yearly / month monthly / week weekly / day daily / contact ask reach report tell told /
    quantity unit piece / mean average / value total revenue turnover / replace change / allow permit / pay paid
    payable / sell sold sale / spend spent / lend lent borrow loan / expense cost / teach taught / die dead death /
    absent absence / lose lost loss / hold held / break broke broken"""
_ENDING: Final = re.compile(
    r"(?<=\w{3})(?:[ai]tion|ment|ion|[ae]nce|al|er|or|ness|ic)$|(?<=\w[ckv])e$|(?<=\w\w)([^\Waeious\d])(?=\1$)"
)
# Comparatives: the dimensions they measure, what a text calls that, those that look up, those that look down.
_DEGREES: Final = """
    : : more most top maximum higher larger bigger greater later : less least minimum fewer lower smaller earlier
    money : price cost fee charge rate : expensive dearer : cheaper
    time length : length duration time term : longer : shorter faster quicker
    mass : weight mass : heavier : lighter
    time : age year built born founded : older : younger newer
    length : height : taller : """
_NUMBERS: Final = "zero one two three four five six seven eight nine ten eleven twelve"
_MONTHS: Final = "january february march april may june july august september october november december"
NUMBERS, MONTHS = _NUMBERS.split(), _MONTHS.split()
_UNITS: Final = """time minute=60 hour=3600 day=86400 night=86400 week=604800 month=2592000 year=31536000
    money €=1 eur=1 euro=1 $=1 usd=1 dollar=1 £=1 gbp=1 pound=1 chf=1 franc=1 sek=1 nok=1 dkk=1 pln=1
    length mm=1 cm=10 m=1000 metre=1000 km=1000000
    mass g=1 kg=1000 tonne=1000000
    data mb=1 gb=1000 tb=1000000"""
# unit -> (dimension, size)
UNITS: Final = {
    unit: (line.split()[0], Decimal(size))
    for line in _UNITS.splitlines()
    for unit, size in (pair.split("=") for pair in line.split()[1:])
}
DATED: Final = re.compile(
    r"(?i:\d{4}-\d\d(?:-\d\d)?|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}|\b\d{1,2}:\d\d|\b(?:19|20)\d\d\b"
    rf"|(?:\b\d{{1,2}}(?:st|nd|rd|th)?(?: (?:to|and) \d{{1,2}})? )?\b(?:{'|'.join(MONTHS)})\b(?: \d{{1,2}}\b)?"
    r",?(?: \d{4})?)"
)
# `5 working days`: up to two words may stand between a number and a unit that is known.
_QUANTITY: Final = re.compile(
    rf"(?i)(?:([€$£]|\b(?:EUR|USD|GBP|CHF)\b)\s?)?(?<![\w.,-])(\d+(?:[.,]\d+)*|\b(?:{'|'.join(NUMBERS)})\b)"
    r"(?!\d|st\b|nd\b|rd\b|th\b)(?:[\s-]?(?:(?!an? |the |per |of |to |in |and |or )[a-z]+ ){0,2}?"
    rf"({'|'.join(map(re.escape, UNITS))}|%)(?=s?(?:\W|$))s?"
    r"|[\s-](?!(?:and|or|of|to|in|for|is|at|by|on)\b)([a-z]{2,}))?"
)


@lru_cache(maxsize=50_000)
def stems(text: str) -> frozenset[str]:
    """Its words' stems, and these without what makes a noun of a verb: install for installation."""
    return frozenset(form for word in words(text) for form in (word, _ENDING.sub("", word)))


STOP: Final = STOP_WORDS | frozenset(words(_SAY_NOTHING))
LIGHT: Final = frozenset(words(_LIGHT))
_GROUPS: Final = tuple(map(stems, _SYNONYMS.split("/")))


@lru_cache(maxsize=50_000)
def meanings(word: str) -> frozenset[str]:
    """The stems that a word, given by its stem, is found by."""
    return frozenset({word, _ENDING.sub("", word)}).union(*(group for group in _GROUPS if word in group))


def covers(key: str, text: str) -> float:
    """1 for the word itself, less for one that may stand for it, else 0."""
    said = stems(text)
    return 1.0 if key in said else 0.0 if meanings(key).isdisjoint(said) else 0.9


class Degree(NamedTuple):
    """A comparative or superlative: `sign` is 1 for what looks up (`most`), -1 for what looks down, else 0."""

    sign: int = 0
    dimensions: frozenset[str] = frozenset()
    of: frozenset[str] = frozenset()


_DEGREE: Final = {
    word: Degree(sign, frozenset(line[0].split()), stems(line[1]))
    for line in (line.split(":") for line in _DEGREES.strip().splitlines())
    for sign, group in zip((1, -1), line[-2:], strict=True)
    for word in group.split()
}


def degree(word: str) -> Degree:
    form = word.lower().strip("?,.;:")
    return _DEGREE.get(form) or _DEGREE.get(re.sub(r"est$", "er", form)) or Degree()


class Quantity(NamedTuple):
    """A number with its unit: `size` can be compared within a dimension, `text` is how it stands there."""

    amount: str
    unit: str
    dimension: str
    size: Decimal
    text: str


def number_of(text: str) -> Decimal | None:
    """`5,000` `7.50` `4,90` `two` as a number; None for anything else."""
    if text in NUMBERS:
        return Decimal(NUMBERS.index(text))
    text = text.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text) else text.replace(",", ".")
    return Decimal(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


@lru_cache(maxsize=50_000)
def quantities(text: str) -> list[Quantity]:
    """Every number of a text that is not part of a date, a time or a code."""
    found = []
    for match in _QUANTITY.finditer(DATED.sub(lambda date: "\0" * len(date.group()), text)):
        sign, number, known, noun = match.groups(default="")
        amount, unit = number_of(number.lower()) or Decimal(0), (sign or known or noun).lower()
        dimension, factor = UNITS.get(unit, (unit.removesuffix("s"), Decimal(1)))
        unit = unit.upper() if dimension == "money" and len(unit) == 3 else unit
        said = text[match.start() : match.end(2) if sign else match.end()]
        found.append(Quantity(f"{amount.normalize():f}", unit, dimension, amount * factor, said))
    return found
