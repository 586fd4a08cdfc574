"""What facts say to a question: the sum of figures, which of some it is, or the best fact as a quote."""

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import FIGURE, STOP, Quantity, covers, degree, measured, quantities, stems
from serving.models.offline.facts import Fact
from serving.models.offline.ranking import Question, ask, rank

_QUOTE_CHARACTERS: Final = 300
_ADDS: Final = re.compile(
    r"(?i)\b(?:sum|totals?|altogether|all together|together|overall|in all|adds? up|come to)\b|^add\b"
    r"|\b(?:spen[dt]|how much)\b.* and\b"
)
_COMPARES: Final = re.compile(r"(?i)\b(?:compare|difference)\b")
_CHOOSES: Final = re.compile(r"(?i)\b(?:which|or|than)\b")
_AND: Final = re.compile(r",? and |, ")
_OR: Final = re.compile(r",? (?:or|and|with|vs|than) |[,:] ")
# Up to its last preposition, the first part of `how long is A or B` says what is asked of both.
_OF: Final = re.compile(
    r"(?i)^(?:.*\b(?:of|on|for|from|in|at|do|does|did|with|between|is|are)\b)?(?: *\b(?:an?|the)\b)?"
)
_AT: Final = re.compile(r"(?i)^(?:(?:that|of|on|for|from|in|at|between|an?|the) )+")
# Neither by how much, nor what kind of thing is compared, says anything about the figure.
_BESIDE: Final = re.compile(
    r"(?i),? (?:and )?by how much\W*$"
    r"|^\W*(?:which|what|who)(?: of)?(?: (?:the|our|all|two|three))*(?: (?!is|are|ha|do)\w+)?"
)
_DIMENSIONS: Final = {"money": "price cost money", "time": "duration time", "length": "length height", "mass": "weight"}


class Found(NamedTuple):
    """What answers; or, not `sure`, the fact that comes closest."""

    text: str
    refs: tuple[str, ...]
    sure: bool = True


class Figure(NamedTuple):
    fact: Fact
    amount: Quantity
    name: str = ""


Looking = Generator[tuple[str, dict[str, Any]], Mapping[str, Any], Found | None]


def answer(question: Question, seen: Sequence[Fact]) -> Looking:
    """Yields calls of the calculator, is sent their results."""
    ranked, text = rank(question, seen), question.text
    best = ranked[0].fact if ranked else None
    closest = Found(best.text[:_QUOTE_CHARACTERS], (best.ref,), False) if best else None
    sign = next((degree(word) for word in text.split() if degree(word)), 0)
    options = _OR.split(_BESIDE.sub("", text))[-2:]
    if _ADDS.search(text) and not _CHOOSES.search(text):
        if parts := _list(question, seen) or _each(_AND.split(text), text, seen):
            result = yield "calculate", {"expression": "+".join(part.amount.amount for part in parts)}
            return _found([part.fact for part in parts], f"Total: {_shown(result, parts[0].amount)}.")
        if best and best.subject and not _ADDS.search(best.text):
            return closest
    elif (sign or _COMPARES.search(text)) and len(options) == 2:
        if not (pair := _each(options, text, seen)):
            return closest
        ahead, behind = sorted(pair, key=lambda figure: -(sign or 1) * figure.amount.size)
        result = yield "calculate", {"expression": f"abs({ahead.amount.amount} - {behind.amount.amount})"}
        word = next(
            (word for word in re.findall(r"(?:(?:more|less) )?\w+", text) if any(map(degree, word.split()))), ""
        )
        said = f"{word.capitalize()}: {ahead.name}, {ahead.amount.text}; {behind.name}, {behind.amount.text}."
        same = f" Difference: {_shown(result, ahead.amount)}." if ahead.amount.unit == behind.amount.unit else ""
        return _found([ahead.fact, behind.fact], said.removeprefix(": ") + same)
    figures = sorted(_figures("", text, seen), key=lambda figure: -sign * figure.amount.size) if sign else []
    if len({(figure.fact.group, figure.fact.subject) for figure in figures}) > 1:
        return _found([figures[0].fact])
    if not best or not ranked[0].sure:
        return closest
    # A heading asks for what stands under it.
    if not question.looks[0] and all(covers(key, best.place) for key in question.strong):
        return _found([fact for fact in seen if fact.group == best.group][:6])
    lacking = [key for key in question.strong if not covers(key, f"{best.place} {best.text}")]
    near = [each.fact for each in ranked[1:2] if each.sure and each.fact.group == best.group]
    whole = best._replace(text=best.row if best.row and not question.looks[0] else best.text)
    return _found([whole, *(each for each in near if any(covers(key, each.text) for key in lacking))])


def _shown(result: Mapping[str, Any], like: Quantity) -> str:
    value, unit = str(result.get("value")), like.unit
    value += "0" * (like.dimension == "money" and value[-2:-1] == ".")
    return f"{unit}{value}" if unit in ("€", "$", "£") else f"{value} {unit}".rstrip()


def _found(facts: Sequence[Fact], said: str = "") -> Found:
    lines = list(dict.fromkeys(fact.text for fact in facts))
    text = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    return Found(f"{said}\n{text}" if said else text, tuple(dict.fromkeys(fact.ref for fact in facts)))


def _list(question: Question, seen: Sequence[Fact]) -> list[Figure]:
    """The amounts of one list, column or sentence: of what the question names in it, or of all if it names none."""
    lists: dict[tuple[str, ...], list[Figure]] = {}
    for fact in seen:
        for amount, subject in fact.amounts:
            sentence = fact.text if len(fact.amounts) > 1 else ""
            lists.setdefault((*fact.group, sentence, amount.unit), []).append(Figure(fact, amount, subject))
    wholes: dict[Fact, list[Figure]] = {}
    for (*_, sentence, _), parts in lists.items():
        first = parts[0].fact
        asked = {*question.strong} - stems(first.place)
        named = [part for part in parts if not stems(part.name).isdisjoint(question.strong)]
        chosen = [part for part in parts if asked & stems(part.name)]
        chosen = named if len(chosen) > 1 else chosen
        said = " ".join([first.place, first.column, sentence, *(part.name for part in chosen)])
        if len(parts) > 1 and len(chosen) != 1 and not any("total" in part.name.lower() for part in parts):
            wholes[first._replace(text=said, row="")] = chosen or parts
    wanted = question._replace(looks=("", ""))
    return next((wholes[rated.fact] for rated in rank(wanted, [*wholes]) if rated.sure), [])


def _each(asked: Sequence[str], text: str, seen: Sequence[Fact]) -> list[Figure]:
    """A figure for each of some names, if they can be set against each other or added."""
    parts = [_OF.sub("", asked[0]).split()[::-1], *(_AT.sub("", name).strip(" ?.").split() for name in asked[1:])]
    names = [" ".join(name[:: 1 if at else -1]) for at, name in enumerate(_said_by(seen, part) for part in parts)]
    for name in names:
        text = text.replace(name, "", 1)
    figures = [figure for name in names for figure in _figures(name, text, seen)[:1]]
    apart = {(each.fact, each.amount) for each in figures}
    whole = 1 < len(names) == len(apart) and len({each.amount.dimension for each in figures} - {""}) < 2
    # Cells are of one column, or of one row.
    alike = len({each.fact.column for each in figures}) == 1 or len({each.fact.subject for each in figures}) == 1
    # What one is called by its heading, the other is.
    headed = len({stems(each.name).isdisjoint(stems(each.fact.text)) for each in figures}) == 1
    return figures if whole and alike and headed else []


def _said_by(seen: Sequence[Fact], near: list[str]) -> list[str]:
    """The most of these words, the first ones on, that one fact says together: a name as the documents have it."""
    for size in range(min(len(near), 4), 0, -1):
        keys = words(" ".join(near[:size]))
        said = {key for key in keys if key not in STOP}
        if STOP.isdisjoint(keys[-1:]) and any(said <= stems(f"{each.place} {each.text}") for each in seen):
            return near[:size]
    return near


def _figures(name: str, text: str, seen: Sequence[Fact]) -> list[Figure]:
    """The figures for a name that are about as near to what is asked as the best, without the words that compare."""
    said = stems(text) | measured(text)
    kinds = tuple(kind for kind, of in _DIMENSIONS.items() if not said.isdisjoint(stems(of)))
    rest = " ".join(word for word in _COMPARES.sub("", _ADDS.sub("", text)).split() if not degree(word))
    asked = ask(f"{_BESIDE.sub('', rest)} {name}")
    asked = asked if asked.weights else ask(rest)
    names = asked.names | asked.weights.keys() & {*words(name)}
    ranked = rank(asked._replace(names=names, looks=(FIGURE, "")), seen)
    read = [(each, _amount(each.fact, asked.text, kinds)) for each in ranked if each.sure]
    found = [(each, amount) for each, amount in read if amount]
    if not found:
        return []
    best, like = found[0][0], found[0][1].dimension
    # Without a name to look for, a column is one list.
    whole = best.fact.column and not name
    near = [(r, a) for r, a in found if r.score > best.score - 0.06 or (whole and r.fact.group == best.fact.group)]
    near = [(r, a) for r, a in near if a.dimension == like]
    # Where nothing tells the columns of a row apart, none is meant.
    unclear = name and like not in kinds and len({r.fact.column for r, _ in near}) > 1
    return [] if unclear else [Figure(r.fact, a, name) for r, a in near]


def _amount(fact: Fact, near: str, kinds: Sequence[str]) -> Quantity | None:
    """The figure of a fact: the one nearest to some words. A cell may leave out the unit."""
    fits = (*kinds, "") if fact.column else kinds
    # What a price was before it changed is not what it is.
    value = re.sub(r"\bfrom [€$£\d.,]+(?= to\b)", lambda was: "-" * len(was.group()), fact.value)
    numbers = [number for number in quantities(value) if not kinds or number.dimension in fits]
    # A number of the question is part of a name.
    numbers = [number for number in numbers if number.dimension == "money" or number.amount not in words(near)]
    keys = [key for key in words(near) if key not in STOP]
    tokens = re.finditer(r"\w+", fact.value)
    places = [token.span() for token in tokens if any(covers(key, token.group()) for key in keys)] or [(0, 0)]
    gaps = {n: min(max(n.start - end, start - n.start - len(n.text)) for start, end in places) for n in numbers}
    return min(numbers, key=gaps.__getitem__, default=None)
