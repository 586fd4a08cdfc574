"""A question as terms: which words an answer must share with it, what kind of value it asks for, and its bounds."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from serving.models.offline import vocabulary as v
from serving.models.offline.language import (
    DATED,
    INFINITE,
    TOKEN,
    WEAK,
    Quantity,
    keys,
    kin,
    quantities,
    ranges,
    related,
    stem,
)

_AUXILIARY: Final = v.either("is are was were do does did can may must will should")
_POINT: Final = r"\b(?:what|which) (?:date|time|day|year|month)\b"
_KINDS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("phone", r"\b(?:tele)?phone number|\bphone\b|\bhotline\b"),
        ("email", r"\be-?mail address"),
        ("percent", r"\bwhat (?:percentage|percent|share|proportion)|\bhow many percent"),
        ("often", r"\bhow (?:often|frequently|regularly)"),
        ("time", r"\bhow (?:long|soon|quickly|fast|early|late)\b"),
        ("number", r"\bhow (?:many|much|heavy|far|big|large|tall|high|wide|old|deep|warm|hot|cold|expensive)\b"),
        ("date", rf"^when\b|\b(?:since|by|until|from) when\b|\bwhen (?:{_AUXILIARY})\b|{_POINT}"),
        ("cost", r"\bcosts?\b|\bprice of\b|\bfee for\b"),
        ("person", r"\bwho(?:m|se)?\b"),
    )
)
_ABOUT: Final = re.compile(r"\s*\(about: (.*)\)\s*$", re.DOTALL)
_PREPOSITIONS: Final = v.words(
    "of for on in at to from with by about under per before after during without is are do does did can may must"
)
_DEGREES: Final = frozenset({*v.EXTREMES, *v.COMPARATIVES} - {"maximum", "minimum"})
# In `which of the three houses uses the most water` the noun only names the kind of what is asked for.
_KIND_OF: Final = re.compile(
    rf"^\W*(?:which|what)(?: of)?(?: (?:the|our|all))*(?: (?:{'|'.join(v.NUMBERS)}))? ([\w-]+)", re.I
)
_COUNTED: Final = re.compile(r"\bhow many (?:percent of )?((?:[\w-]+ ?)+)")


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the question. `required` ones (names, codes, years, quoted words) no answer may lack."""

    word: str
    key: str
    weak: bool = False
    required: bool = False
    focus: bool = False

    def within(self, found: frozenset[str]) -> float:
        """1 for the word itself, less for a synonym, 0 for neither."""
        return 1.0 if self.key in found else 0.85 * (not found.isdisjoint(kin(self.key)))


@dataclass(frozen=True, slots=True)
class Question:
    """`counted`: keys of what `how many` counts. `bounds`: (size, dimension) of the amounts in question."""

    text: str
    terms: tuple[Term, ...]
    kind: str
    counted: frozenset[str]
    bounds: tuple[tuple[Decimal, str], ...]

    @property
    def query(self) -> str:
        """What to search for: the question's content words as they stand."""
        return " ".join(dict.fromkeys(term.word for term in self.terms)) or self.text

    @property
    def wider(self) -> str:
        """The strong words with their synonyms: for a second look."""
        strong = [term for term in self.terms if not term.weak] or list(self.terms)
        return " ".join(dict.fromkeys(w for t in strong for w in (t.word, *related(t.key))))

    @property
    def required(self) -> tuple[Term, ...]:
        return tuple(term for term in self.terms if term.required)


def ask(text: str) -> Question:
    about = _ABOUT.search(text)
    main = _ABOUT.sub("", text)
    for phrase, word in v.PHRASES.items():
        main = re.sub(rf"\b{phrase}\b", word, main, flags=re.IGNORECASE)
    lower = main.lower()
    kind = next((kind for kind, pattern in _KINDS if pattern.search(lower)), "text")
    counted = _COUNTED.search(lower)
    counts = counted[1].split() if counted else []
    counts = counts[: next((at for at, word in enumerate(counts) if word in v.STOP and at), 3)]
    bounds = _bounds(main)
    terms = _terms(_without_amounts(main) if bounds else main)
    if about:
        known = {term.key for term in terms}
        soft = (Term(t.word, t.key, weak=True) for t in _terms(about[1]) if t.key not in known)
        terms += tuple(soft)
    return Question(main, terms, kind, frozenset(k for word in counts for k in keys(word)), bounds)


def _bounds(text: str) -> tuple[tuple[Decimal, str], ...]:
    """`above 5,000 EUR` speaks of a little more than that, `of 750 EUR` of just that."""
    found = [(low, high, dimension) for low, high, dimension in ranges(text) if dimension != "time"]
    sizes = [(low + Decimal("0.001"), dim) if high == INFINITE else (high, dim) for low, high, dim in found]
    if not sizes:
        sizes = [(q.size, q.dimension) for q in quantities(text) if _bounding(q)]
    return tuple(sizes)


def _bounding(quantity: Quantity) -> bool:
    """An amount that a rule may be about, as against `two invoices`, `in 2026` or `30 days`."""
    counted = quantity.unit and quantity.amount >= 20 and not 1900 <= quantity.amount <= 2100
    return quantity.dimension in ("money", "mass", "length") or bool(counted and quantity.dimension != "time")


def _without_amounts(text: str) -> str:
    for quantity in reversed(quantities(text)):
        if _bounding(quantity):
            text = text[: quantity.start] + " " + text[quantity.end :]
    return text


def _terms(text: str) -> tuple[Term, ...]:
    quoted = {
        key
        for match in re.findall(r"[\"“”]([^\"“”]+)[\"“”]", text)
        for token in TOKEN.findall(match)
        for key in keys(token)
    }
    tokens = [
        match for match in TOKEN.finditer(text) if match.group().lower() not in v.STOP or match.group() in ("IT", "US")
    ]
    words = text.split()
    titled = sum(word[:1].isupper() for word in words) > 0.6 * len(words) > 2
    focus, kind = _focus(text), _kind_of(text)
    found: dict[str, Term] = {}
    for token in tokens:
        word = token.group()
        for key in keys(word):
            name = key in quoted or (not titled and _is_name(word, text[: token.start()]))
            if key in found:
                continue
            weak = not name and (key in WEAK or word.lower() in _DEGREES or word.lower() in kind)
            found[key] = Term(word, key, weak, name, key in focus and word.lower() not in kind)
    return tuple(found.values())


def _kind_of(text: str) -> frozenset[str]:
    kind = _KIND_OF.match(text.lower())
    ranked = any(word in v.EXTREMES for word in TOKEN.findall(text.lower()))
    return frozenset({kind[1], *v.NUMBERS}) if kind and ranked else frozenset()


def _is_name(word: str, before: str) -> bool:
    if re.fullmatch(r"(?:19|20)\d\d", word):
        return True
    if any(c.isdigit() for c in word):
        return any(c.isalpha() for c in word)
    lower = word.lower()
    plain = lower in v.UNITS or lower in v.WEEKDAYS or lower in v.MONTHS or DATED.fullmatch(word) is not None
    starts = not before.strip() or before.rstrip()[-1] in ".?!:"
    return word[0].isupper() and not plain and (not starts or (word.isupper() and len(word) > 1))


def _focus(text: str) -> frozenset[str]:
    """The keys of the first noun phrase behind the question word: what is asked about."""
    found: list[str] = []
    for token in TOKEN.findall(text):
        lower = token.lower()
        if lower in _PREPOSITIONS and found:
            break
        if lower not in v.STOP:
            found += [key for key in keys(token) if key not in WEAK and not key[0].isdigit()]
    return frozenset(found)


def content(text: str) -> frozenset[str]:
    """The keys of a text's meaningful words."""
    return frozenset(key for token in TOKEN.findall(text) if token.lower() not in v.STOP for key in keys(token)) - {
        stem("")
    }
