"""What facts say to a question: the sum of figures, which of some it is, or the best fact as a quote."""

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import STOP, covers, degree, quantities, stems
from serving.models.offline.facts import Fact, Figure, figures
from serving.models.offline.ranking import Question, Rated, ask, counts, rank

_QUOTE_CHARACTERS: Final = 300
_ALIKE: Final = 0.06
_ADDS: Final = re.compile(
    r"(?i)\b(?:sum|totals?|altogether|all together|together|overall|in all|adds? up|come to)\b|^add\b"
    r"|\b(?:spen[dt]|how much)\b.* and\b"
)
_COMPARES: Final = re.compile(r"(?i)\b(?:compare|difference)\b")
_SEVERAL: Final = re.compile(r"(?i)\b(?:are|were) (?:the|our|all) (?:\w+ )?\w+s\b")
_CHOOSES: Final = re.compile(r"(?i)\b(?:which|or|than)\b")
_COMPARATIVE: Final = re.compile(r"(?i)\b(?:(?:more|less) \w+(?=,| for| in)|\w+(?:er|est)\b|more|less)")
_EACH: Final = re.compile(r"\b(?:each|apiece)\b")
_PARTS: Final = re.compile(r",? (?:or|and|with|vs|than) |[,:] ")
# Neither by how much, nor what kind of thing is compared, says anything about the figure.
_BESIDE: Final = re.compile(
    r"(?i),? (?:and )?(?:by how much|what is the difference)\W*$"
    r"|^\W*(?:which|what|who)(?: of)?(?: (?:the|our|all|two|three))*(?: (?!is|are|ha|do)\w+)?"
)


class Found(NamedTuple):
    """What answers; or, not `sure`, the fact that comes closest."""

    text: str
    refs: tuple[str, ...]
    sure: bool = True


Looking = Generator[tuple[str, dict[str, Any]], Mapping[str, Any], Found | None]


def answer(question: Question, seen: Sequence[Fact]) -> Looking:
    """Yields calls of the calculator, is sent their results."""
    ranked, text = rank(question, seen), question.text
    best = ranked[0].fact if ranked else None
    closest = Found(best.text[:_QUOTE_CHARACTERS], (best.ref,), False) if best else None
    sign = next((degree(word).sign for word in text.split() if degree(word).sign), 0)
    parts = _PARTS.split(_BESIDE.sub("", text))
    if _ADDS.search(text) and not _CHOOSES.search(text):
        if added := _list(question, seen) or _each(parts, text, seen):
            result = yield "calculate", {"expression": "+".join(map(_times, added))}
            return _found([part.fact for part in added], f"Total: {_shown(result, added[0])}.")
        if best and not _ADDS.search(best.text):
            return closest
    elif (sign or _COMPARES.search(text)) and len(parts) > 1:
        pair = sorted(_each(parts[-2:], text, seen), key=lambda figure: -(sign or 1) * figure.amount.size)
        if not pair:
            return closest
        ahead, behind = pair
        result = yield "calculate", {"expression": f"abs({ahead.amount.amount} - {behind.amount.amount})"}
        word = _COMPARATIVE.search(text) if sign else None
        said = f"{word[0].capitalize()}: " if word else ""
        said += f"{ahead.name}, {ahead.amount.text}; {behind.name}, {behind.amount.text}."
        same = f" Difference: {_shown(result, ahead)}." if ahead.amount.unit == behind.amount.unit else ""
        return _found([ahead.fact, behind.fact], said + same)
    elif _COMPARES.search(text):
        return _side_by_side(ranked) or closest
    elif sign:
        every = _figures("", text, seen)
        if len({(each.fact.group, each.fact.subject) for each in every}) > 1:
            return _found([max(every, key=lambda figure: sign * figure.amount.size).fact])
    several = _side_by_side(ranked) if _SEVERAL.search(text) else None
    return several or (_quoted(question, ranked, seen) if best and ranked[0].sure else closest)


def _side_by_side(ranked: Sequence[Rated]) -> Found | None:
    """What each of several sections or items says to it, about as well as the best."""
    said: dict[tuple[str, str], Fact] = {}
    for sure, score, fact in ranked:
        if sure and score > ranked[0].score - _ALIKE:
            named = fact if fact.subject else fact._replace(text=f"{fact.place}: {fact.text}")
            said.setdefault((fact.place, fact.subject), named)
    return _found([*said.values()]) if len(said) > 1 else None


def _quoted(question: Question, ranked: Sequence[Rated], seen: Sequence[Fact]) -> Found:
    """The best fact, and the next one if it says what that leaves out; or the section whose heading is asked for."""
    best = ranked[0].fact
    if not question.looks[0] and all(covers(key, best.place) for key in question.strong):
        above = best.place.rpartition(" > ")[0]
        wide = all(covers(key, above) for key in question.weights if covers(key, best.place))
        section = [fact for fact in seen if fact.place.startswith(above if wide else best.place)]
        return _found(sorted(section, key=lambda fact: int(fact.ref.rpartition("#")[2]))[:6])
    whole = best._replace(text="" if question.looks[0] else best.row)
    lacking = [key for key in question.strong if not covers(key, f"{best.place} {best.text}")]
    near = [each.fact for each in ranked[1:2] if each.sure and each.fact.group == best.group]
    return _found(
        [whole if whole.text else best, *(each for each in near if any(covers(key, each.text) for key in lacking))]
    )


def _shown(result: Mapping[str, Any], like: Figure) -> str:
    value, unit = str(result.get("value")), like.amount.unit
    value += "0" * (like.amount.dimension == "money" and value[-2:-1] == ".")
    return f"{unit}{value}" if unit in ("€", "$", "£") else f"{value} {unit}".rstrip()


def _times(figure: Figure) -> str:
    """`four trees at £95 each` is four times one."""
    counts = [n.amount for n in quantities(figure.fact.value) if n.dimension != "money"]
    return "*".join([*counts[: bool(_EACH.search(figure.fact.value))], figure.amount.amount])


def _found(facts: Sequence[Fact], said: str = "") -> Found:
    lines = list(dict.fromkeys(fact.text for fact in facts))
    text = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    return Found(f"{said}\n{text}" if said else text, tuple(dict.fromkeys(fact.ref for fact in facts)))


def _list(question: Question, seen: Sequence[Fact]) -> list[Figure]:
    """The amounts of one list, column or sentence: of what the question names in it, or of all if it names none."""
    lists: dict[tuple[str, ...], list[Figure]] = {}
    for fact in seen:
        every = figures(fact) if not question.of or counts(question.of, fact) else []
        money = [figure for figure in every if figure.amount.dimension == "money"]
        for figure in (money or every[-1:])[:1] if fact.subject else money:
            lists.setdefault((*fact.group, "" if fact.subject else fact.text, figure.amount.unit), []).append(figure)
    wholes: dict[Fact, list[Figure]] = {}
    for (*_, sentence, _), parts in lists.items():
        first = parts[0].fact
        chosen = [part for part in parts if stems(part.name) & ({*question.strong} - stems(first.place))]
        said = " ".join([first.place, first.column, sentence, *(part.name for part in chosen)])
        if len(parts) > 1 and len(chosen) != 1 and not any("total" in part.name.lower() for part in parts):
            wholes[first._replace(text=said, value=said, row="")] = chosen or parts
    ranked = rank(question._replace(looks=("", ""), of=""), [*wholes])
    return wholes[ranked[0].fact] if ranked and ranked[0].sure else []


def _each(parts: Sequence[str], text: str, seen: Sequence[Fact]) -> list[Figure]:
    """A figure for each of some names, if they can be set against each other or added."""
    names = [_said_by(seen, part.strip(" ?.").split(), at == 0) for at, part in enumerate(parts)]
    for name in names:
        text = text.replace(name, "", 1)
    found = [each._replace(name=name) for name in names if name for each in _figures(name, text, seen)[:1]]
    whole = 1 < len(names) == len({(each.fact, each.amount) for each in found})
    alike = len({each.amount.dimension for each in found} - {""}) < 2
    # Cells are of one column, or of one row; what one is called by its heading, the other is.
    alike &= len({each.fact.column for each in found}) == 1 or len({each.fact.subject for each in found}) == 1
    headed = len({stems(each.name).isdisjoint(stems(each.fact.text)) for each in found}) == 1
    return found if whole and alike and headed else []


def _said_by(seen: Sequence[Fact], near: list[str], last: bool) -> str:
    """The most words at one end of these that a fact says together: a name as the documents have it."""
    while not last and near and near[0].lower() in STOP:
        near = near[1:]
    for size in range(min(len(near), 4), 0, -1):
        run = near[-size:] if last else near[:size]
        keys = words(" ".join(run))
        said = {key for key in keys if key not in STOP}
        if keys and keys[0 if last else -1] in said and any(said <= stems(f"{e.place} {e.text}") for e in seen):
            return " ".join(run)
    return ""


def _figures(name: str, text: str, seen: Sequence[Fact]) -> list[Figure]:
    """The figures for a name that are about as near to what is asked as the best, without the words that compare."""
    degrees = [degree(word) for word in text.split()]
    kinds = frozenset(["money"] * bool(covers("cost", text))).union(*(each.dimensions for each in degrees))
    rest = " ".join(word for word in _COMPARES.sub("", _ADDS.sub("", text)).split() if not degree(word).sign)
    asked = ask(f"{_BESIDE.sub('', rest)} {name}")
    asked = asked if asked.weights else ask(rest)
    called = asked.weights.keys() & {*words(name)}
    asked = asked._replace(names=asked.names | called, looks=("", ""), of="")
    # A cell may leave out the unit; a number of the question is part of a name.
    every = [(figure, figure.amount) for fact in seen for figure in figures(fact)]
    like = [(f, n) for f, n in every if not kinds or n.dimension in kinds or (f.fact.column and not n.dimension)]
    found = [f for f, n in like if n.dimension == "money" or n.amount not in words(asked.text)]
    scores: dict[Fact, float] = {}
    for each in rank(asked, [figure.fact for figure in found]):
        shared = sum(covers(key, f"{each.fact.subject} {each.fact.value}") for key in called) / (len(called) or 1)
        scores |= {each.fact: each.score + 0.2 * shared} if each.sure else {}
    found = sorted((figure for figure in found if figure.fact in scores), key=lambda figure: -scores[figure.fact])
    # Without a name to look for, a column is one list.
    whole = found[0].fact.group if found and found[0].fact.column and not name else None
    found = [figure for figure in found if figure.amount.dimension == found[0].amount.dimension]
    near = [f for f in found if scores[f.fact] > scores[found[0].fact] - _ALIKE or f.fact.group == whole]
    # Where nothing tells the columns of a row apart, none is meant.
    unclear = name and not kinds and len({figure.fact.column for figure in near}) > 1
    return [] if unclear else near
