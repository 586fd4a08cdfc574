"""How a question is answered: by a query over the tables, a passage of the documents, or a figure over several.

Each function is a generator: it yields a tool call, is sent the tool's result, and returns what it found, or None.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph.ports import Overview, StepTask
from serving.models.offline.language import plain, stem, stems
from serving.models.offline.passages import Unit, unique, units
from serving.models.offline.question import Question, ask
from serving.models.offline.ranking import ENOUGH, Scale, best
from serving.models.offline.sql import probe, select, sentence
from serving.models.offline.tables import TableQuestion, read
from serving.models.offline.totals import furthest, summands, wants_only_sum, wants_sum

SEARCH_LIMIT: Final = 8
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
    """Searches with the question's words, then wider; at a second attempt it reads the likeliest document whole."""
    question = ask(text)
    seen: tuple[Unit, ...] = ()
    queries = (question.wider,) if task.feedback else (question.query, question.wider)
    for query in dict.fromkeys(queries):
        for limit in (SEARCH_LIMIT, MOST_HITS):
            hits = (yield "search_documents", {"query": query, "limit": limit}).get("hits", [])
            read = _read(hits, task.overview)
            # The rows of a large table can crowd out the passages.
            if len({unit.ref for unit in read}) > 3 or len(hits) < limit:
                break
        seen = unique((*seen, *read))
        found = yield from _answer(question, seen)
        if found:
            return found
    path = _likeliest(question, task.overview) if task.feedback else ""
    if path:
        result = yield "read_document", {"path": path}
        hit = {"ref": path, "path": path, "text": result.get("text", "")}
        return (yield from _answer(question, _read([hit], task.overview)))
    return None


def _read(hits: Sequence[Mapping[str, Any]], overview: Overview) -> tuple[Unit, ...]:
    tables = {table.path for table in overview.tables}
    titles = {document.path: document.headings[0] for document in overview.documents if document.headings}
    return unique([unit for hit in hits if hit.get("path") not in tables for unit in units(hit, titles)])


def _answer(question: Question, seen: Sequence[Unit]) -> Looking:
    if _SUMMARY.match(question.text):
        return _summary(question, seen)
    top = best(question, seen)
    if wants_sum(question.text) and not any(stem("total") in scored.unit.own for scored in top):
        summed = yield from _sum(question, seen)
        listed = any(scored.unit.kind in ("cell", "item") for scored in top)
        if summed or (listed and wants_only_sum(question.text)):
            return summed
    if unit := furthest(question, seen):
        return _quote(question, [unit])
    return _quote(question, [scored.unit for scored in top]) if top else None


def _sum(question: Question, seen: Sequence[Unit]) -> Looking:
    parts = summands(question, seen)
    if not parts:
        return None
    result = yield "calculate", {"expression": "+".join(plain(quantity.amount) for _, quantity in parts)}
    if "value" not in result:
        return None
    listed = "; ".join(unit.text.rstrip(".") for unit, _ in parts)
    text = f"Total: {result['value']} {parts[0][1].called}".rstrip()
    return Found(f"{text} ({listed}).", tuple(dict.fromkeys(unit.ref for unit, _ in parts)))


def _quote(question: Question, found: Sequence[Unit]) -> Found:
    lines = [_shown(question, unit) for unit in found]
    refs = tuple(dict.fromkeys(unit.ref for unit in found))
    return Found(lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines), refs)


def _shown(question: Question, unit: Unit) -> str:
    """A piece that doesn't say itself what it is about is shown with its heading."""
    unsaid = [t for t in question.terms if not t.weak and not t.within(unit.own)]
    told = unit.label and any(t.within(stems(unit.label)) for t in unsaid)
    return f"{unit.label}: {unit.text}" if told and not unit.label.endswith("?") else unit.text


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


def _likeliest(question: Question, overview: Overview) -> str:
    """The document whose name and headings share most with the question."""
    tables = {table.path for table in overview.tables}
    wanted = {t.key for t in question.terms if not t.weak}
    scored = [
        (len(wanted & stems(re.sub(r"[/._-]", " ", d.path) + " " + " ".join(d.headings))), d.path)
        for d in overview.documents
        if d.path not in tables
    ]
    score, path = max(scored, key=lambda pair: (pair[0], pair[1]), default=(0, ""))
    return path if score else ""


def searched(text: str, overview: Overview) -> str:
    """What a failed look-up looked through, for the person to judge."""
    tables = [table.path for table in overview.tables]
    texts = [document.path for document in overview.documents if document.path not in tables]
    paths = [*texts, *tables]
    places = ", ".join(paths) if len(paths) <= _NAMED else f"{len(texts)} documents and {len(tables)} tables"
    return f"searched {places or 'an empty collection'} for “{ask(text).query}”"
