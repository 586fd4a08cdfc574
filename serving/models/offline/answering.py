"""What passages say to a question: the sum of figures, which of two it is, or the best passage as a quote."""

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import FIGURE, STOP, Quantity, covers, degree, quantities, stems
from serving.models.offline.passages import Passage
from serving.models.offline.ranking import Question, Rated, ask, rank

_QUOTE_CHARACTERS: Final = 300
_SUM: Final = re.compile(
    r"(?i)\b(?:sum|totals?|altogether|all together|together|overall|in all|adds? up|come to)\b|^add\b"
    r"|\b(?:spen[dt]|how much)\b.* and\b"
)
_OF: Final = re.compile(r"(?i)\b(?:of|on|for|from|in|at|do|does|did|with)\b")
_AND: Final = re.compile(r"(?i),? and (?:(?:an?|the|for|of|on) )*|, (?:(?:an?|the) )?")
# `before VAT` says which figures are meant where a document states it of all of them.
_NET: Final = re.compile(r"(?i)\b(?:before|without|excluding|excl\.?) (?:vat|tax(?:es)?)\b")
# Where a sentence goes on to its next figure; what says that a figure stands for several, or for a period.
_PIECE: Final = re.compile(r"[,;] |\band\b|(?<=\w\w)\. ")
_EACH: Final = re.compile(r"\b(?:each|apiece|at [€$£])")
_RATE: Final = re.compile(r"(?i)\b(?:per|an?) (?:minute|hour|day|night|week|month|quarter|year|lesson|term|time)\b")
_OPTION: Final = r"(?:(?:that of|that for|the|from|for|in|at|on) )*([\w&'. -]{1,40}?)"
_OPTIONS: Final = re.compile(
    rf"(?i)(?:[,:]|.*\b(?:between|for|of|compare|is|are|do|does|takes?|than)) {_OPTION},? (?:or|and|with|to|vs|than) "
    rf"{_OPTION}(?: plans?)?(?:,? (?:and )?by how much)?\W*$"
)
_COMPARES: Final = re.compile(r"(?i)\b(?:compare|difference)\b")
_CHOOSES: Final = r"(?i)\b(?:how many|which|or|than)\b"
_SAYS_HOW: Final = re.compile(f"{_COMPARES.pattern}|{_SUM.pattern[4:]}")
# `which of the three houses`: what kind of thing is compared says nothing about the figure.
_KIND: Final = re.compile(r"(?i)^\W*(?:which|what|who)(?: of)?(?: (?:the|our|all|two|three))*(?: (?!is|are|ha|do)\w+)?")
_DIMENSIONS: Final = {
    "money": "cheap|expensive|cost|price|dear|money",
    "time": "longe|shorte|faste|quick",
    "length": r"the (?:long|short)e\w+ (?!to\b)\w|tall|wide|narrow|deep",
    "mass": "heav|lighte",
}


class Found(NamedTuple):
    """What answers; or, not `sure`, the passage that comes closest."""

    text: str
    refs: tuple[str, ...]
    sure: bool = True


class Figure(NamedTuple):
    passage: Passage
    amount: Quantity
    name: str = ""
    times: str = "1"


Looking = Generator[tuple[str, dict[str, Any]], Mapping[str, Any], Found | None]


def answer(question: Question, seen: Sequence[Passage]) -> Looking:
    """Yields calls of the calculator, is sent their results."""
    ranked, text = rank(question, seen), question.text
    best = ranked[0] if ranked else None
    closest = Found(best.passage.text[:_QUOTE_CHARACTERS], (best.passage.ref,), False) if best else None
    sign = next((degree(word) for word in text.split() if degree(word)), 0)
    if adding := _SUM.search(text) and not re.search(_CHOOSES, text):
        if parts := _listed(question, seen) or _of_each(_AND.split(text), text, seen):
            terms = (f"{part.times}*{part.amount.amount}".removeprefix("1*") for part in parts)
            result = yield "calculate", {"expression": "+".join(terms)}
            return _found(f"Total: {_shown(result, parts[0].amount)}.", [part.passage for part in parts])
        whole = best and (_SUM.search(best.passage.text) or all(covers(k, best.passage.text) for k in question.strong))
        if not best or not (whole or best.passage.kind == "sentence"):
            return closest
    if options := _OPTIONS.search(text) if (sign and not adding) or _COMPARES.search(text) else None:
        if not (pair := _of_each(options.groups(), text, seen)):
            return closest
        ahead, behind = sorted(pair, key=lambda figure: -(sign or 1) * figure.amount.size)
        result = yield "calculate", {"expression": f"abs({ahead.amount.amount} - {behind.amount.amount})"}
        return _found(_verdict(text, ahead, behind, _shown(result, ahead.amount)), [ahead.passage, behind.passage])
    figures = sorted(_figures(text, "", text, seen), key=lambda figure: -sign * figure.amount.size) if sign else []
    if len({(figure.passage.group, figure.passage.name) for figure in figures}) > 1:
        return _found("", [figures[0].passage])
    if not best or not best.sure:
        return closest
    return _quoted(question, seen, ranked)


def _quoted(question: Question, seen: Sequence[Passage], ranked: Sequence[Rated]) -> Found:
    """The best passage; its whole row or section where nothing else is asked; with what the next one adds."""
    best = ranked[0].passage
    section = [passage for passage in seen if passage.group == best.group and passage.kind != "row"]
    if not question.looks and all(covers(key, best.place) for key in question.strong):
        return _found("", section[:6])
    rows = [each for each in seen if each.kind == "row" and each.ref == best.ref and each.name == best.name]
    if best.kind == "cell" and not question.looks and rows:
        return _found("", rows[:1])
    lacking = [key for key in question.strong if not covers(key, f"{best.place} {best.text}")]
    near = [each.passage for each in ranked[1:2] if each.sure and each.passage.group == best.group]
    return _found("", [best, *(each for each in near if any(covers(key, each.text) for key in lacking))])


def _verdict(text: str, ahead: Figure, behind: Figure, apart: str) -> str:
    """Which of two it is, in the question's own word, with both figures."""
    word = next((word for word in re.findall(r"(?:(?:more|less) )?\w+", text) if any(map(degree, word.split()))), "")
    difference = f" Difference: {apart}." if ahead.amount.unit == behind.amount.unit else ""
    said = f"{word.capitalize()}: {ahead.name}, {ahead.amount.text}".removeprefix(": ")
    return f"{said}; {behind.name}, {behind.amount.text}.{difference}"


def _shown(result: Mapping[str, Any], like: Quantity) -> str:
    value, unit = str(result.get("value")), like.unit
    value += "0" * (like.dimension == "money" and value[-2:-1] == ".")
    return f"{unit}{value}" if unit in ("€", "$", "£") else f"{value} {unit}".rstrip()


def _found(said: str, passages: Sequence[Passage]) -> Found:
    lines = list(dict.fromkeys(passage.text for passage in passages))
    text = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    return Found(f"{said}\n{text}" if said else text, tuple(dict.fromkeys(passage.ref for passage in passages)))


def _listed(question: Question, seen: Sequence[Passage]) -> list[Figure]:
    """The amounts of one list or sentence: of what the question names in it, or of all when it names none."""
    lists: dict[tuple[str, ...], list[Figure]] = {}
    for passage in seen:
        if passage.name and (amount := _amount(passage)):
            lists.setdefault((*passage.group, passage.kind, amount.unit), []).append(Figure(passage, amount))
        for part in _parts(passage):
            lists.setdefault((*passage.group, passage.text, part.amount.unit), []).append(part)
    wholes: dict[Passage, list[Figure]] = {}
    for parts in lists.values():
        first, asked = parts[0].passage, {*question.strong} - stems(parts[0].passage.place)
        chosen = [part for part in parts if asked & stems(part.passage.name)]
        chosen = [part for part in parts if chosen and not stems(part.passage.name).isdisjoint(question.strong)]
        text, around = (first.text, first.around) if len({part.passage.text for part in parts}) == 1 else ("", "")
        said = " ".join([first.place, first.column, text, *(part.passage.name for part in chosen)])
        several = len(chosen or parts) > 1 and len(chosen) != 1
        if (several or parts[0].times != "1") and not any("total" in part.passage.name.lower() for part in parts):
            wholes[first._replace(text=said, around=around)] = chosen or parts
    weights = dict.fromkeys(ask(_NET.sub("", question.text)).strong, 1.0) or question.weights
    wanted = question._replace(weights=weights, names=question.names & weights.keys(), strict=False, head="")
    return next((wholes[rated.passage] for rated in rank(wanted, [*wholes]) if rated.sure), [])


def _parts(passage: Passage) -> list[Figure]:
    """The money of one sentence, piece by piece: `four trees at £95` counts four times. None where one is a rate."""
    parts = []
    for piece in _PIECE.split(passage.value) if passage.kind in ("sentence", "item") else ():
        numbers = quantities(piece)
        money = [number for number in numbers if number.dimension == "money"]
        counts = [number.amount for number in numbers if money and number.start < money[0].start]
        counts = counts[-1:] if _EACH.search(piece) else ["1"]
        if len(money) > 1 or (money and (_RATE.search(piece) or not counts)):
            return []
        if money:
            parts.append(Figure(passage._replace(name=piece), money[0], times=counts[0]))
    return parts


def _of_each(asked: Sequence[str], text: str, seen: Sequence[Passage]) -> list[Figure]:
    """A figure for each of some names, if they can be set against each other or added."""
    first = _said_by(seen, _OF.split(asked[0])[-1].split()[::-1])[::-1]
    names = [first, *(_said_by(seen, name.split()) for name in asked[1:])]
    rest = _KIND.sub("", text)
    for name in names:
        rest = rest.replace(" ".join(name), "", 1)
    figures = [figure for name in names for figure in _figures(rest, " ".join(name), text, seen)[:1]]
    found, apart = {figure.name for figure in figures}, {(each.passage, each.amount) for each in figures}
    whole = 1 < len(names) == len(found) == len(apart) and len({each.amount.dimension for each in figures} - {""}) < 2
    # Cells are of one column, or of one row.
    alike = len({each.passage.column for each in figures}) == 1 or len({each.passage.name for each in figures}) == 1
    return figures if whole and alike else []


def _said_by(seen: Sequence[Passage], near: list[str]) -> list[str]:
    """The most of these words, the first ones on, that one passage says together: a name as the documents have it."""
    for size in range(min(len(near), 4), 0, -1):
        keys = words(" ".join(near[:size]))
        said = {key for key in keys if key not in STOP}
        if STOP.isdisjoint(keys[-1:]) and any(said <= stems(f"{each.place} {each.text}") for each in seen):
            return near[:size]
    return near


def _figures(rest: str, name: str, text: str, seen: Sequence[Passage]) -> list[Figure]:
    """The figures for a name that are about as near to what is asked as the best, without the words that compare."""
    dimensions = tuple(kind for kind, cue in _DIMENSIONS.items() if re.search(cue, text.lower()))
    kept = _SAYS_HOW.sub("", " ".join(word for word in rest.split() if not degree(word)))
    kept = kept if name or not ask(_KIND.sub("", kept)).weights else _KIND.sub("", kept)
    asked = ask(f"{kept} {name}")
    names = asked.names | asked.weights.keys() & {*words(name)}
    weights = {key: 0.2 if key in names else weight for key, weight in asked.weights.items()}
    asked = asked._replace(weights=weights, names=names, looks=FIGURE, strict=True)
    ranked = [rated for rated in rank(asked, [passage for passage in seen if passage.kind != "row"]) if rated.sure]
    # A figure in the question is part of a name; the cells of a table may leave out the unit.
    for kinds in dict.fromkeys((dimensions, ("",) if dimensions else ())):
        read = ((each, _amount(each.passage, f"{kept} {name}", kinds, words(text))) for each in ranked)
        if found := [(each, amount) for each, amount in read if amount and ("" not in kinds or each.passage.column)]:
            score, like, best = found[0][0].score - 0.1, found[0][1].dimension, found[0][0].passage
            # Without a name to look for, a column is one list.
            whole = best.column and not name
            near = [(r, a) for r, a in found if r.score > score or (whole and r.passage.group == best.group)]
            near = [(r, a) for r, a in near if a.dimension == like]
            # Where nothing tells the columns of a row apart, none is meant.
            unclear = name and like not in dimensions and len({r.passage.column for r, _ in near}) > 1
            return [] if unclear else [Figure(r.passage, a, name) for r, a in near]
    return []


def _amount(passage: Passage, near: str = "", kinds: Sequence[str] = (), named: Sequence[str] = ()) -> Quantity | None:
    """The figure of a passage: the one nearest to some words, else its money, else its last number."""
    former = re.sub(r"\bfrom ([€$£\d.,]+)(?= to\b)", lambda was: "-" * len(was.group()), passage.value)
    numbers = [number for number in quantities(former) if not kinds or number.dimension in kinds]
    numbers = [number for number in numbers if number.amount not in named or number.dimension == "money"]
    wanted = [key for key in words(near) if len(key) > 3]
    tokens = re.finditer(r"\w+", passage.value)
    if places := [token.span() for token in tokens if any(covers(key, token.group()) for key in wanted)]:
        gaps = {n: min(max(n.start - end, start - n.start - len(n.text)) for start, end in places) for n in numbers}
        return min(numbers, key=gaps.__getitem__, default=None)
    return next((number for number in numbers if number.dimension == "money"), numbers[-1] if numbers else None)
