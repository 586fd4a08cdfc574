"""What passages say to a question: the sum of a list, the furthest of several figures, or the best as a quote.

One score decides: rare words weigh more, names must be there, and the value must be of the kind that is asked for.
"""

import math
import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import DATED, FIGURE, LIGHT, STOP, Quantity, degree, likeness, quantities, stems
from serving.models.offline.passages import Passage

_ENOUGH: Final = 0.62
# Capitals inside a sentence, codes and years: no answer may lack them.
_NAME: Final = re.compile(r"(?<=[^.?!:] )[A-Z][^\W_]*|\b(?=\w*\d)(?=[\d-]*[^\W\d])[\w-]+|\b(?:19|20)\d\d\b|\[\w+\]")
_TIME: Final = r"(?:second|minute|hour|day|night|week|month|quarter|year)s?\b"
# What a question says, what the value must then look like, and whether nothing else will do.
_KINDS: Final = (
    (r"\bhow (?:often|frequently)", rf"\b(?:every|each|per|once|twice|\w+ly|an?) |{_TIME}", True),
    (r"\bhow (?:long|soon|quickly|fast|early|late|far ahead)\b", rf"{_TIME}|\b(?:lifetime|unlimited)", True),
    (r"\b(?:cost|price|fee)s?\b", r"[€$£%]|(?-i:\b[A-Z]{3}\b)|\d\.\d\d|\b(?:free|no|none|included|request)\b", True),
    (r"\bhow (?!to\b)\w+", rf"{FIGURE}|\b(?:no|none|free|unlimited)\b", True),
    (r"\bwhen\b|\bwhat (?:time|date|day)", rf"{_TIME}|{DATED.pattern}|\b\w+day\b|\b(?:after|before|until)\b", False),
    (r"\bwho(?:m|se)?\b", r"(?-i:\[PERSON|\[NAME|[A-Z]\w+ [A-Z]\w+)|(?:er|or|head|team|office|board|staff)\b", False),
    ("", "", False),
)
_SUM: Final = re.compile(r"(?i)\b(?:sum|totals?|add|altogether|together|overall)\b|\b(?:spen[dt]|how much)\b.* and\b")
_OPTION: Final = r"(?:(?:that of|that for|the) )?([\w&'. -]{1,40}?)"
_OPTIONS: Final = re.compile(
    rf"(?i)(?:[,:]|.*\b(?:between|for|of|compare|is|are|do|does)) {_OPTION},? (?:or|and|with|to|vs|than) {_OPTION}"
    r"(?: plans?)?(?:,? (?:and )?by how much)?\W*$"
)
# `which of the three houses`: what kind of thing is compared says nothing about the figure.
_KIND: Final = re.compile(r"(?i)^\W*(?:which|what|who)(?: of)?(?: (?:the|our|all|two|three))*(?: (?!is|are|ha|do)\w+)?")
_COMPARES: Final = re.compile(r"(?i)\b(?:compare|difference)\b")


class Question(NamedTuple):
    """`weights` of its words' stems, `names` that no answer may lack, `looks`: the pattern of a value that fits."""

    text: str
    weights: Mapping[str, float]
    names: frozenset[str]
    looks: str
    strict: bool


class Found(NamedTuple):
    text: str
    refs: tuple[str, ...]


Looking = Generator[tuple[str, dict[str, Any]], Mapping[str, Any], Found | None]
Figure = tuple[Passage, Quantity, str]


def ask(text: str) -> Question:
    """Reads a question. What stands behind `(about:` may be shared by the answer, but need not."""
    text, _, about = text.partition(" (about: ")
    looks, strict = next(kind[1:] for kind in _KINDS if re.search(kind[0], text, re.IGNORECASE))
    names = stems(" ".join(name for name in _NAME.findall(text) if not DATED.fullmatch(name) or name.isdigit())) - STOP
    weights = {key: 0.2 if key in LIGHT - names else 1.0 for key in words(text) if key not in STOP}
    return Question(text, dict.fromkeys(stems(about) - STOP, 0.2) | weights, names & weights.keys(), looks, strict)


def answer(question: Question, seen: Sequence[Passage]) -> Looking:
    """Yields calls of the calculator, is sent their results."""
    ranked, text = rank(question, seen), question.text
    if _SUM.search(text) and "how many" not in text.lower() and not (ranked and "total" in ranked[0][1].text.lower()):
        if parts := _summands(question, seen):
            result = yield "calculate", {"expression": "+".join(amount.amount for _, amount, _ in parts)}
            unit = parts[0][1].unit or " ".join(re.findall(r"\b[A-Z]{3}\b", parts[0][0].column))
            return _found(f"Total: {result.get('value')} {unit}".rstrip(), [passage for passage, _, _ in parts])
        if ranked and ranked[0][1].kind != "sentence":
            return None
    sign = next((degree(word) for word in text.split() if degree(word)), 0)
    options = _OPTIONS.search(text) if sign or _COMPARES.search(text) else None
    figures = sorted(_figures(text, options, seen), key=lambda entry: -sign * entry[1].size) if sign or options else []
    if options and len(figures) == 2:
        (first, a, ahead), (second, b, behind) = figures
        result = yield "calculate", {"expression": f"abs({a.amount} - {b.amount})"}
        apart = f" (difference: {result.get('value')} {a.unit})" if a.unit == b.unit else ""
        return _found(f"{ahead}: {a.text}, against {b.text} for {behind}{apart}", [first, second])
    several = len({(passage.group, passage.name) for passage, _, _ in figures}) > 1
    return None if options else _quote(question, [(1.0, figures[0][0])] if several else ranked, seen)


def _summands(question: Question, seen: Sequence[Passage]) -> list[Figure]:
    """The amounts of one list: of its items that the question names, or of all when it names none."""
    lists: dict[tuple[str, ...], list[Figure]] = {}
    for passage in seen:
        if passage.name and "total" not in passage.name.lower() and (amount := _amount(passage)):
            lists.setdefault((*passage.group, passage.kind, amount.unit), []).append((passage, amount, ""))
    strong = {key: weight for key, weight in question.weights.items() if weight == 1} or question.weights
    best: tuple[float, list[Figure]] = (0.0, [])
    for parts in lists.values():
        asked = question.weights.keys() - stems(parts[0][0].place)
        chosen = [part for part in parts if asked & stems(part[0].name)] or parts
        whole = chosen[0][0]._replace(text=" ".join([chosen[0][0].place, *(p.text for p, _, _ in chosen)]))
        ranked = rank(question._replace(weights=strong, strict=False), [whole]) if len(chosen) > 1 else []
        best = max(best, (ranked[0][0] if ranked else 0.0, chosen), key=lambda pair: pair[0])
    return best[1]


def _figures(text: str, options: re.Match[str] | None, seen: Sequence[Passage]) -> list[Figure]:
    """What is compared, without the words that compare: one figure for each option, or all that are comparable."""
    rest = _KIND.sub("", text[: options.start(1)] if options else text)
    rest = " ".join(word for word in rest.split() if not degree(word) and not _COMPARES.search(word))
    found: list[Figure] = []
    for name in (options[1], options[2]) if options else ("",):
        asked = ask(f"{rest} {name}")
        names = asked.names | stems(name) & asked.weights.keys()
        ranked = rank(asked._replace(names=names, looks=FIGURE, strict=True), [p for p in seen if p.kind != "row"])
        near = [(p, _amount(p, rest), name) for score, p in ranked if score > ranked[0][0] - 0.25]
        found += [(passage, amount, name) for passage, amount, name in near if amount][: 1 if options else None]
    return [figure for figure in found if figure[1].dimension == found[0][1].dimension]


def _amount(passage: Passage, near: str = "") -> Quantity | None:
    """The figure of a passage: the one nearest to some words, else its money, else its last number."""
    numbers, wanted = quantities(passage.value), [key for key in words(near) if len(key) > 3]
    tokens = [(token.end(), stems(token.group())) for token in re.finditer(r"\w+", passage.value)]
    if places := [at for at, own in tokens if any(likeness(key, own) for key in wanted)]:
        return min(numbers, key=lambda number: min(abs(number.start - at) for at in places), default=None)
    return next((number for number in numbers if number.dimension == "money"), numbers[-1] if numbers else None)


def _quote(question: Question, ranked: Sequence[tuple[float, Passage]], seen: Sequence[Passage]) -> Found | None:
    """The best passage with those of its list that are as good; all of a section whose heading is asked for."""
    if not ranked:
        return None
    score, best = ranked[0]
    found = [p for other, p in ranked[:6] if other > score - 0.04 and p.group == best.group and p.kind == "item"] or [
        best
    ]
    if not question.looks and all(likeness(key, stems(best.place)) for key, w in question.weights.items() if w == 1):
        found = [passage for passage in seen if passage.group == best.group and passage.kind != "row"][:6]
    return _found("", found)


def _found(said: str, passages: Sequence[Passage]) -> Found:
    lines = list(dict.fromkeys(passage.text for passage in passages))
    text = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    return Found(f"{said}:\n{text}" if said else text, tuple(dict.fromkeys(passage.ref for passage in passages)))


def rank(question: Question, seen: Sequence[Passage]) -> list[tuple[float, Passage]]:
    """The passages that are an answer with their scores, best first."""
    held = {key: sum(key in stems(passage.text) for passage in seen) for key in question.weights}
    scale = {key: w * math.log(1 + (1 + len(seen)) / (1 + held[key])) for key, w in question.weights.items()}
    scored = [(_score(question, passage, scale), passage) for passage in seen]
    return sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])


def _score(question: Question, passage: Passage, scale: Mapping[str, float]) -> float:
    covered = {key: _covers(key, passage, key in question.names) for key in scale}
    coverage, fits = (
        sum(scale[key] * covered[key] for key in scale) / (sum(scale.values()) or 1),
        _fits(question, passage),
    )
    if coverage < _ENOUGH or (question.strict and not fits) or not all(map(covered.get, question.names)):
        return 0.0
    brevity = sum(share == 1 for share in covered.values()) / (len(stems(passage.text)) or 1)
    return coverage + 0.15 * fits + 0.05 * brevity - 0.05 * (passage.kind == "row")


def _covers(key: str, passage: Passage, name: bool) -> float:
    """A word is said by the passage itself, by what stands above it, or (no name) by the sentence ahead."""
    ahead = 0.0 if name else 0.7 * likeness(key, stems(passage.before))
    return max(likeness(key, stems(passage.text)), 0.75 * likeness(key, stems(passage.place)), ahead)


def _fits(question: Question, passage: Passage) -> bool:
    """`how many beds` wants a number of beds."""
    looks = bool(question.looks and re.search(question.looks, passage.value, re.IGNORECASE))
    counted, numbers = re.search(r"(?i)\bhow many (\w+)", question.text), quantities(passage.value)
    behind = [passage.value[number.start :][:20] for number in numbers]
    bare = (
        [passage.name, passage.column] if any(number.dimension not in ("time", "money") for number in numbers) else []
    )
    return looks and (not counted or any(likeness(key, stems(" ".join(behind + bare))) for key in words(counted[1])))
