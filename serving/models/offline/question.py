"""A question as terms: which words an answer must share with it, what kind of value it asks for, and its bounds."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from serving.models.offline import language as en
from serving.models.offline import vocabulary as v

_AUXILIARY: Final = v.either("is are was were do does did can may must will should")
_KINDS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("phone", r"\bphone\b|\bhotline\b"),
        ("email", r"\be-?mail address"),
        ("percent", r"\bwhat (?:percentage|percent|share|proportion)|\bhow many percent"),
        ("often", r"\bhow (?:often|frequently|regularly)"),
        ("time", r"\bhow (?:long|soon|quickly|fast|early|late)\b"),
        ("number", rf"\bhow (?:many|much|{'|'.join(v.DEGREES)})\b"),
        ("date", rf"^when\b|\b(?:since|by|until|from) when\b|\bwhen (?:{_AUXILIARY})\b"),
        ("date", r"\b(?:what|which) (?:date|time|day|year|month)\b"),
        ("cost", r"\bcosts?\b|\bprice of\b|\bfee for\b"),
        ("person", r"\bwho(?:m|se)?\b"),
    )
)
_ABOUT: Final = re.compile(r"\s*\(about: (.*)\)\s*$", re.DOTALL)
_PREPOSITIONS: Final = v.words(
    "of for on in at to from with by about under per before after during without is are do does did can may must"
)
_RANKING: Final = {*v.EXTREMES, *v.COMPARATIVES} - {"maximum", "minimum"}
# In `which of the three houses uses the most water` the noun only names the kind of what is asked for.
_KIND_OF: Final = re.compile(
    rf"^\W*(?:which|what)(?: of)?(?: (?:the|our|all))*(?: (?:{'|'.join(v.NUMBERS)}))? ([\w-]+)", re.I
)
_COUNTED: Final = re.compile(r"\bhow many (?:percent of )?((?:[\w-]+ ?)+)")
_QUOTED: Final = re.compile(r"[\"“”]([^\"“”]+)[\"“”]")


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
        return 1.0 if self.key in found else 0.85 * (not found.isdisjoint(en.kin(self.key)))


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
        strong = [term for term in self.terms if not term.weak] or self.terms
        return " ".join(dict.fromkeys(w for t in strong for w in (t.word, *en.related(t.key))))


def ask(text: str) -> Question:
    """Reads a question; what stands behind `about:` adds words that an answer may share, but need not."""
    about, main = _ABOUT.search(text), _ABOUT.sub("", text)
    for phrase, word in v.PHRASES.items():
        main = re.sub(rf"\b{phrase}\b", word, main, flags=re.IGNORECASE)
    kind = next((kind for kind, pattern in _KINDS if pattern.search(main.lower())), "text")
    bounds = _bounds(main)
    terms = _terms(_without_amounts(main) if bounds else main)
    if about:
        known = {term.key for term in terms}
        terms += tuple(Term(t.word, t.key, weak=True) for t in _terms(about[1]) if t.key not in known)
    return Question(main, terms, kind, _counted(main), bounds)


def _counted(text: str) -> frozenset[str]:
    cue = _COUNTED.search(text.lower())
    words = cue[1].split() if cue else []
    end = next((at for at, word in enumerate(words) if word in v.STOP and at), 3)
    return frozenset(key for word in words[:end] for key in en.keys(word))


def _bounds(text: str) -> tuple[tuple[Decimal, str], ...]:
    """`above 5,000 EUR` speaks of a little more than that, `of 750 EUR` of just that."""
    found = [(low, high, dimension) for low, high, dimension in en.ranges(text) if dimension != "time"]
    sizes = [(low + Decimal("0.001"), dim) if high == en.INFINITE else (high, dim) for low, high, dim in found]
    return tuple(sizes or [(q.size, q.dimension) for q in en.quantities(text) if _bounding(q)])


def _bounding(quantity: en.Quantity) -> bool:
    """An amount that a rule may be about, as against `two invoices`, `in 2026` or `30 days`."""
    counted = quantity.unit and quantity.amount >= 20 and not 1900 <= quantity.amount <= 2100
    return quantity.dimension in ("money", "mass", "length") or bool(counted and quantity.dimension != "time")


def _without_amounts(text: str) -> str:
    for quantity in reversed(en.quantities(text)):
        if _bounding(quantity):
            text = text[: quantity.start] + " " + text[quantity.end :]
    return text


def _terms(text: str) -> tuple[Term, ...]:
    quoted = en.stems(" ".join(_QUOTED.findall(text)))
    titled = sum(word[:1].isupper() for word in text.split()) > 0.6 * len(text.split()) > 2
    focus, kind = _focus(text), _kind_of(text)
    found: dict[str, Term] = {}
    for token in en.TOKEN.finditer(text):
        word, lower = token.group(), token.group().lower()
        if lower in v.STOP and word not in ("IT", "US"):
            continue
        for key in en.keys(word):
            name = key in quoted or (not titled and _is_name(word, text[: token.start()]))
            weak = not name and (key in en.WEAK or lower in _RANKING or lower in kind)
            found.setdefault(key, Term(word, key, weak, name, key in focus and lower not in kind))
    return tuple(found.values())


def _kind_of(text: str) -> frozenset[str]:
    kind = _KIND_OF.match(text)
    ranked = any(word in v.EXTREMES for word in en.TOKEN.findall(text.lower()))
    return frozenset({kind[1].lower(), *v.NUMBERS}) if kind and ranked else frozenset()


def _is_name(word: str, before: str) -> bool:
    """Capitals inside a sentence, codes and years; a number behind a name belongs to it (`Fix 12`)."""
    if word.isdigit():
        behind = re.search(r"(?<=\W)(\w+) $", before)
        named = behind is not None and not behind[1].isdigit() and _is_name(behind[1], before[: behind.start()])
        return named or bool(re.fullmatch(r"(?:19|20)\d\d", word))
    if any(c.isdigit() for c in word):
        return any(c.isalpha() for c in word)
    lower = word.lower()
    plain = lower in v.UNITS or lower in v.WEEKDAYS or lower in v.MONTHS or en.DATED.fullmatch(word) is not None
    starts = not before.strip() or before.rstrip()[-1] in ".?!:"
    return word[0].isupper() and not plain and (not starts or (word.isupper() and len(word) > 1))


def _focus(text: str) -> frozenset[str]:
    """The keys of the first noun phrase behind the question word: what is asked about."""
    found: list[str] = []
    for token in en.TOKEN.findall(text.lower()):
        if token in _PREPOSITIONS and found:
            break
        if token not in v.STOP:
            found += [key for key in en.keys(token) if key not in en.WEAK and not key[0].isdigit()]
    return frozenset(found)
