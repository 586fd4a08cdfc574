"""How a question is answered: by a query over the tables, a passage of the documents, or a figure over several.

Each function is a generator: it yields a tool call, is sent the tool's result, and returns what it found, or None.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph.ports import DocumentInfo, Overview, StepTask
from serving.models.offline.language import content, plain, stem, stems
from serving.models.offline.passages import Unit, unique, units
from serving.models.offline.question import Question, ask
from serving.models.offline.ranking import ENOUGH, Scale, best
from serving.models.offline.sql import probe, select, sentence
from serving.models.offline.tables import TableQuestion, read
from serving.models.offline.totals import ONLY_SUM, SUM, furthest, summands

MOST_HITS: Final = 20
_NAMED: Final = 8
_LISTING: Final = re.compile(r"^\W*(?:list|show|name|give)\b", re.IGNORECASE)
_WHICH: Final = re.compile(r"^\W*which\b", re.IGNORECASE)
_SUMMARY: Final = re.compile(
    r"^\W*(?:summari[sz]e|describe|explain|outline|give (?:me )?(?:a |an )?(?:short |brief )?(?:summary|overview))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    text: str
    refs: tuple[str, ...] = ()


Call = tuple[str, dict[str, Any]]
Looking = Generator[Call, Mapping[str, Any], Found | None]


def table_question(
    text: str, overview: Overview, values: Mapping[str, Sequence[str]] | None = None
) -> TableQuestion | None:
    """The question as a query over the table that explains most of its words; None when none explains enough."""
    main = text.partition(" (about: ")[0]
    asked = [read(main, table, values) for table in overview.tables]
    fitting = [a for a in asked if a.explained and len(a.unexplained) <= a.explained and _answers(a, main)]
    return min(fitting, key=lambda a: (len(a.unexplained), a.by_id, -a.exact, -a.explained), default=None)


def _answers(asked: TableQuestion, text: str) -> bool:
    """Whether a query calculates something, or lists rows that the words really single out."""
    if asked.aggregate != "rows":
        return bool(asked.measure) or asked.aggregate in ("count", "share")
    if asked.direction:
        return bool(asked.measure)
    told = asked.filters or asked.unexplained
    return bool(_LISTING.match(text) or (told and asked.cued) or (asked.filters and _WHICH.match(text)))


def ask_tables(text: str, overview: Overview) -> Looking:
    """Looks up the words that the samples don't explain, then asks; gives up rather than leave a word out."""
    asked = table_question(text, overview)
    if asked and asked.unexplained:
        result = yield "query_table", {"sql": probe(asked.table, asked.unexplained)}
        values: dict[str, list[str]] = {}
        for column, value in result.get("rows", []):
            values.setdefault(str(column), []).append(str(value))
        asked = table_question(text, overview, values)
    if asked is None or asked.unexplained:
        return None
    said = sentence(asked, (yield "query_table", {"sql": select(asked)}))
    return Found(said, (asked.table.path,)) if said else None


def ask_documents(text: str, task: StepTask) -> Looking:
    """Searches with the question's words; at a second attempt with their synonyms as well."""
    question = ask(text)
    query = question.wider if task.feedback else question.query
    result = yield "search_documents", {"query": query, "limit": MOST_HITS}
    return (yield from _answer(question, _read(result.get("hits", []), task.overview)))


def _texts(overview: Overview) -> list[DocumentInfo]:
    tables = {table.path for table in overview.tables}
    return [document for document in overview.documents if document.path not in tables]


def _read(hits: Sequence[Mapping[str, Any]], overview: Overview) -> tuple[Unit, ...]:
    titles = {document.path: "".join(document.headings[:1]) for document in _texts(overview)}
    return unique([unit for hit in hits if hit.get("path") in titles for unit in units(hit, titles)])


def _answer(question: Question, seen: Sequence[Unit]) -> Looking:
    if _SUMMARY.match(question.text):
        return _summary(question, seen)
    top = best(question, seen)
    if SUM.search(question.text) and not any(stem("total") in scored.unit.own for scored in top):
        summed = yield from _sum(question, seen)
        listed = any(scored.unit.kind in ("cell", "item") for scored in top)
        if summed or (listed and ONLY_SUM.search(question.text)):
            return summed
    if unit := furthest(question, seen):
        return _quote(question, [unit], named=True)
    return _quote(question, [scored.unit for scored in top]) if top else None


def _sum(question: Question, seen: Sequence[Unit]) -> Looking:
    parts = summands(question, seen)
    if not parts:
        return None
    result = yield "calculate", {"expression": "+".join(plain(quantity.amount) for _, quantity in parts)}
    listed = "; ".join(unit.text.rstrip(".") for unit, _ in parts)
    text = f"Total: {result.get('value')} {parts[0][1].called}".rstrip()
    found = Found(f"{text} ({listed}).", tuple(dict.fromkeys(unit.ref for unit, _ in parts)))
    return found if "value" in result else None


def _quote(question: Question, found: Sequence[Unit], named: bool = False) -> Found:
    lines = [_shown(question, unit, named) for unit in found]
    refs = tuple(dict.fromkeys(unit.ref for unit in found))
    return Found(lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines), refs)


def _shown(question: Question, unit: Unit, named: bool) -> str:
    """A piece that doesn't say itself what it is about is shown with its heading; `named`: always with it."""
    unsaid = [t for t in question.terms if not t.weak and not t.within(unit.own)]
    told = any(t.within(stems(unit.label)) for t in unsaid)
    other = named and unit.kind != "cell" and content(unit.label).isdisjoint(unit.own | content(question.text))
    return f"{unit.label}: {unit.text}" if unit.label and (told or other) and unit.label[-1] != "?" else unit.text


def _summary(question: Question, seen: Sequence[Unit]) -> Found | None:
    """The sentences of the section that is most about the subject."""
    pieces = [unit for unit in seen if unit.kind in ("sentence", "item", "row")]
    sections: dict[tuple[str, str], list[Unit]] = {}
    for unit in pieces:
        sections.setdefault(unit.section, []).append(unit)
    subject = ask(re.sub(_SUMMARY, "", question.text))
    scale = Scale.of(subject, pieces)
    scored = [(_about(subject, group, scale), group) for group in sections.values()]
    score, chosen = max(scored, key=lambda pair: pair[0], default=(0.0, []))
    return _quote(question, chosen[:6]) if score >= ENOUGH else None


def _about(subject: Question, group: Sequence[Unit], scale: Scale) -> float:
    whole = Unit(group[0].ref, " ".join(u.text for u in group), "", "row", group[0].label, group[0].around)
    titled = sum(1 for t in subject.terms if t.within(stems(whole.label)))
    return scale.coverage(subject, whole) + 0.05 * titled


def searched(text: str, overview: Overview) -> str:
    """What a failed look-up looked through, for the person to judge."""
    texts, tables = [d.path for d in _texts(overview)], [table.path for table in overview.tables]
    few = len(texts) + len(tables) <= _NAMED
    places = ", ".join([*texts, *tables]) if few else f"{len(texts)} documents and {len(tables)} tables"
    return f"searched {places or 'an empty collection'} for “{ask(text).query}”"
