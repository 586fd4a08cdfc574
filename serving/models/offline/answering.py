"""What passages say to a question: the sum of figures, which of two it is, or the best passage as a quote."""

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import FIGURE, STOP, Quantity, degree, likeness, quantities, stems
from serving.models.offline.passages import Passage
from serving.models.offline.ranking import Question, Rated, ask, rank

_QUOTE_CHARACTERS: Final = 300
_SUM: Final = re.compile(r"(?i)\b(?:sum|totals?|add|altogether|together|overall)\b|\b(?:spen[dt]|how much)\b.* and\b")
_OPTION: Final = r"(?:(?:that of|that for|the|from|for) )*([\w&'. -]{1,40}?)"
_OPTIONS: Final = re.compile(
    rf"(?i)(?:[,:]|.*\b(?:between|for|of|compare|is|are|do|does|takes?|than)) {_OPTION},? (?:or|and|with|to|vs|than) "
    rf"{_OPTION}(?: plans?)?(?:,? (?:and )?by how much)?\W*$"
)
# `which of the three houses`: what kind of thing is compared says nothing about the figure.
_KIND: Final = re.compile(r"(?i)^\W*(?:which|what|who)(?: of)?(?: (?:the|our|all|two|three))*(?: (?!is|are|ha|do)\w+)?")
_COMPARES: Final = re.compile(r"(?i)\b(?:compare|difference)\b")
_DIMENSIONS: Final = {"money": "cheap|expensive|cost|price|dear", "time": "longe|shorte|faste|quick", "mass": "heav"}


class Found(NamedTuple):
    """What answers; or, not `sure`, the passage that comes closest."""

    text: str
    refs: tuple[str, ...]
    sure: bool = True


class Figure(NamedTuple):
    passage: Passage
    amount: Quantity
    name: str = ""


Looking = Generator[tuple[str, dict[str, Any]], Mapping[str, Any], Found | None]


def answer(question: Question, seen: Sequence[Passage]) -> Looking:
    """Yields calls of the calculator, is sent their results."""
    ranked, text = rank(question, seen), question.text
    sure = [rated for rated in ranked if rated.sure]
    closest = Found(ranked[0].passage.text[:_QUOTE_CHARACTERS], (ranked[0].passage.ref,), False) if ranked else None
    if _SUM.search(text) and "how many" not in text.lower() and not (sure and "total" in sure[0].passage.text.lower()):
        if parts := _summands(question, seen) or _terms(question, seen):
            result = yield "calculate", {"expression": "+".join(part.amount.amount for part in parts)}
            return _found(f"Total: {_shown(result, parts[0].amount)}:", [part.passage for part in parts])
        if not sure or sure[0].passage.kind != "sentence":
            return closest
    sign = next((degree(word) for word in text.split() if degree(word)), 0)
    if options := _OPTIONS.search(text) if sign or _COMPARES.search(text) else None:
        rest = _KIND.sub("", text[: options.start(1)])
        figures = [figure for name in options.groups() for figure in _alike(rest, name, text, seen)[:1]]
        if len({figure.name for figure in figures}) < 2 or len({figure.amount.dimension for figure in figures}) > 1:
            return closest
        ahead, behind = sorted(figures, key=lambda figure: -(sign or 1) * figure.amount.size)
        result = yield "calculate", {"expression": f"abs({ahead.amount.amount} - {behind.amount.amount})"}
        return _found(_verdict(text, ahead, behind, _shown(result, ahead.amount)), [ahead.passage, behind.passage])
    figures = sorted(_alike(text, "", text, seen), key=lambda figure: -sign * figure.amount.size) if sign else []
    if len({(figure.passage.group, figure.passage.name) for figure in figures}) > 1:
        return _found("", [figures[0].passage])
    return _quote(question, sure, seen) if sure else closest


def _verdict(text: str, ahead: Figure, behind: Figure, apart: str) -> str:
    """Which of two it is, in the question's own word, with both figures."""
    if ahead.amount.size == behind.amount.size:
        return f"The same for {ahead.name} and {behind.name}: {ahead.amount.text}."
    word = next((word for word in re.findall(r"(?:(?:more|less) )?\w+", text) if any(map(degree, word.split()))), "")
    difference = f" Difference: {apart}." if ahead.amount.unit == behind.amount.unit else ""
    said = f"{word.capitalize()}: {ahead.name}, {ahead.amount.text}" if word else f"{ahead.name}, {ahead.amount.text}"
    return f"{said}; {behind.name}, {behind.amount.text}.{difference}"


def _shown(result: Mapping[str, Any], like: Quantity) -> str:
    value, unit = result.get("value"), like.unit
    return f"{unit}{value}" if unit in ("€", "$", "£") else f"{value} {unit}".rstrip()


def _summands(question: Question, seen: Sequence[Passage]) -> list[Figure]:
    """The amounts of one list: of its items that the question names, or of all when it names none."""
    lists: dict[tuple[str, ...], list[Figure]] = {}
    for passage in seen:
        if passage.name and "total" not in passage.name.lower() and (amount := _amount(passage)):
            lists.setdefault((*passage.group, passage.kind, amount.unit), []).append(Figure(passage, amount))
    wanted = question._replace(weights=dict.fromkeys(question.strong, 1.0) or question.weights, strict=False)
    best: tuple[float, list[Figure]] = (0.0, [])
    for parts in lists.values():
        asked = question.weights.keys() - stems(parts[0].passage.place)
        chosen = [part for part in parts if asked & stems(part.passage.name)] or parts
        whole = parts[0].passage._replace(text=" ".join([parts[0].passage.place, *(p.passage.text for p in chosen)]))
        ranked = [rated for rated in rank(wanted, [whole]) if rated.sure and len(chosen) > 1]
        best = max(best, (ranked[0].score if ranked else 0.0, chosen), key=lambda pair: pair[0])
    return best[1]


def _terms(question: Question, seen: Sequence[Passage]) -> list[Figure]:
    """`heating and electricity`: a figure for each of the two that `and` joins."""
    ahead, _, behind = question.text.partition(" and ")
    left, right = ([key for key in words(part) if key in question.strong] for part in (ahead, behind))
    if not left or not right:
        return []
    spoken = {left[-1], right[0], *STOP, "sum", "total", "add"}
    rest = " ".join(key for key in words(question.text) if key not in spoken)
    figures = [figure for name in (left[-1], right[0]) for figure in _alike(rest, name, "cost", seen)[:1]]
    apart = len({(figure.passage.ref, figure.amount) for figure in figures}) == 2
    return figures if apart and len({figure.amount.unit for figure in figures}) == 1 else []


def _alike(rest: str, name: str, text: str, seen: Sequence[Passage]) -> list[Figure]:
    """The figures for a name that are about as near to what is asked as the best, without the words that compare."""
    dimension = next((kind for kind, cue in _DIMENSIONS.items() if re.search(cue, text.lower())), "")
    kept = " ".join(word for word in rest.split() if not degree(word) and not _COMPARES.search(word))
    kept = kept if name or not stems(_KIND.sub("", kept)) - STOP else _KIND.sub("", kept)
    asked = ask(f"{kept} {name}")
    names = asked.names | stems(name) & asked.weights.keys()
    weights = {key: 0.2 if key in names else weight for key, weight in asked.weights.items()}
    asked = asked._replace(weights=weights, names=names, looks=FIGURE, strict=True)
    ranked = [rated for rated in rank(asked, [p for p in seen if p.kind != "row"]) if rated.sure]
    found = [(rated, amount) for rated in ranked if (amount := _amount(rated.passage, kept, dimension))]
    alike = [pair for pair in found if pair[0].score > found[0][0].score - 0.25]
    return [Figure(near.passage, amount, name) for near, amount in alike if amount.dimension == found[0][1].dimension]


def _amount(passage: Passage, near: str = "", dimension: str = "") -> Quantity | None:
    """The figure of a passage: the one nearest to some words, else its money, else its last number."""
    numbers = [number for number in quantities(passage.value) if dimension in ("", number.dimension)]
    wanted = [key for key in words(near) if len(key) > 3]
    tokens = [(token.span(), stems(token.group())) for token in re.finditer(r"\w+", passage.value)]
    if places := [span for span, own in tokens if any(likeness(key, own) for key in wanted)]:
        return min(numbers, key=lambda number: min(_gap(number, span) for span in places), default=None)
    return next((number for number in numbers if number.dimension == "money"), numbers[-1] if numbers else None)


def _gap(number: Quantity, span: tuple[int, int]) -> int:
    return max(number.start - span[1], span[0] - number.start - len(number.text))


def _quote(question: Question, sure: Sequence[Rated], seen: Sequence[Passage]) -> Found:
    """The best passage with those of its list that are as good; all of a section whose heading is asked for."""
    score, best = sure[0].score, sure[0].passage
    if not question.looks and all(likeness(key, stems(best.place)) for key in question.strong):
        return _found("", [passage for passage in seen if passage.group == best.group and passage.kind != "row"][:6])
    alike = [rated.passage for rated in sure[:6] if rated.score > score - 0.04 and rated.passage.group == best.group]
    both = f"{best.text} {best.after}"
    goes_on = len(both) <= _QUOTE_CHARACTERS and any(likeness(key, stems(best.after)) for key in question.strong)
    best = best._replace(text=both) if goes_on else best
    return _found("", [passage for passage in alike if passage.kind == "item"] or [best])


def _found(said: str, passages: Sequence[Passage]) -> Found:
    lines = list(dict.fromkeys(passage.text for passage in passages))
    text = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    return Found(f"{said}\n{text}" if said else text, tuple(dict.fromkeys(passage.ref for passage in passages)))
