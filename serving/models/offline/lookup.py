"""How a question is answered: by a query over the tables, a passage of the documents, or a sum over several passages.

Each function is a generator: it yields a tool call, is sent the tool's result, and returns what it found, or None.
"""

import re
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from graph.ports import Overview, StepTask
from serving.models.offline import vocabulary as v
from serving.models.offline.columns import sheets
from serving.models.offline.language import TOKEN, Quantity, keys, plain, quantities, stem, stems
from serving.models.offline.passages import Unit, unique, units
from serving.models.offline.question import Question, ask
from serving.models.offline.ranking import ENOUGH, Scale, best, rank
from serving.models.offline.sql import select, sentence
from serving.models.offline.tables import TableQuestion, read

SEARCH_LIMIT: Final = 8
MOST_HITS: Final = 20
_SUM: Final = re.compile(r"\b(?:sum|total|totals|add|altogether|together|in all|combined|overall)\b|\bspen[dt]\b.* and\b|\bhow much\b.* and\b", re.I)
_TOTAL: Final = re.compile(r"\b(?:sum|total|totals|altogether|add up)\b", re.I)
_ITEM: Final = r"(?:the |for |for the )?[\w-]+(?: [\w-]+)?"
_ITEMS: Final = re.compile(rf"((?:{_ITEM}, )*{_ITEM}),? and ({_ITEM})", re.I)
_LISTING: Final = re.compile(r"^\W*(?:which|list|show|name|give)\b", re.I)
_SUMMARY: Final = re.compile(r"^\W*(?:summari[sz]e|describe|explain|outline|give (?:me )?(?:a |an )?(?:short |brief )?(?:summary|overview))\b", re.I)


@dataclass(frozen=True, slots=True)
class Found:
    text: str
    refs: tuple[str, ...] = ()


Call = tuple[str, dict[str, Any]]
Looking = Generator[Call, Mapping[str, Any], Found | None]


def table_question(text: str, overview: Overview, values: dict[str, tuple[str, ...]] | None = None) -> TableQuestion | None:
    """The question as a query over the table that explains most of its words; None when none explains enough."""
    main = text.partition(" (about: ")[0]
    asked = [read(main, sheet, values) for sheet in sheets(overview)]
    fitting = [a for a in asked if a.explained and (a.cued or a.filters or a.shown) and len(a.unexplained) <= a.explained]
    fitting = [a for a in fitting if a.measure or a.aggregate in ("rows", "count", "share")]
    fitting = [a for a in fitting if a.aggregate != "rows" or a.direction or _LISTING.search(main) or (a.cued and (a.filters or a.unexplained))]
    return min(fitting, key=lambda a: (len(a.unexplained), a.by_id, -a.exact, bool(a.sheet.joined), -a.explained), default=None)


def ask_tables(text: str, overview: Overview) -> Looking:
    """Looks up the words that the samples don't explain, then asks; gives up rather than leave a word out."""
    asked = table_question(text, overview)
    if asked is None:
        return None
    if asked.unexplained:
        result = yield "query_table", {"sql": _probe(asked)}
        values: dict[str, tuple[str, ...]] = {}
        for column, value in result.get("rows", []):
            values[str(column)] = (*values.get(str(column), ()), str(value))
        asked = table_question(text, overview, values)
    if asked is None or asked.unexplained:
        return None
    result = yield "query_table", {"sql": select(asked)}
    said = sentence(asked, result)
    return Found(said, asked.sheet.paths) if said else None


def _probe(asked: TableQuestion) -> str:
    """Which values of the table's text columns hold the words that are still unexplained."""
    words = "|".join(re.escape(word).replace("'", "''") for word in asked.unexplained[:6])
    parts = [
        f"SELECT DISTINCT '{c.sql}' AS \"column\", CAST({c.sql} AS VARCHAR) AS \"value\" FROM {asked.sheet.source} "
        f"WHERE regexp_matches(lower(CAST({c.sql} AS VARCHAR)), '(^|[^a-z0-9])({words})([^a-z0-9]|$)')"
        for c in asked.sheet.columns
        if c.kind == "text"
    ]
    return " UNION ALL ".join(parts or ["SELECT '' AS \"column\", '' AS \"value\" WHERE FALSE"]) + " ORDER BY 1, 2 LIMIT 40"


def ask_documents(text: str, task: StepTask) -> Looking:
    """Searches with the question's words, then wider; after a refusal it also reads the likeliest document as a whole."""
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
    if _SUM.search(question.text) and not any(stem("total") in s.unit.own for s in top):
        summed = yield from _sum(question, seen)
        if summed or any(s.unit.kind in ("cell", "item") for s in top) and _TOTAL.search(question.text):
            return summed
    if re.search(r"\b\w+est\b|\bmost\b|\bleast\b", question.text.lower()):
        furthest = _furthest(question, seen)
        if furthest:
            return _quote(question, [furthest])
    return _quote(question, [s.unit for s in top]) if top else None


def _quote(question: Question, found: Sequence[Unit]) -> Found:
    lines = [_shown(question, unit) for unit in found]
    refs = tuple(dict.fromkeys(unit.ref for unit in found))
    return Found(lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines), refs)


def _shown(question: Question, unit: Unit) -> str:
    """A piece that doesn't say itself what it is about is shown with its heading."""
    unsaid = [t for t in question.terms if not t.weak and not t.within(unit.own)]
    told = unit.label and any(t.within(stems(unit.label)) for t in unsaid)
    return f"{unit.label}: {unit.text}" if told and not unit.label.endswith("?") else unit.text


def _furthest(question: Question, seen: Sequence[Unit]) -> Unit | None:
    """Of all that the documents give for an attribute, the largest or the smallest."""
    word = next((w for w in TOKEN.findall(question.text.lower()) if w in v.EXTREMES), "")
    given = [(s.unit, q) for s in rank(question, seen) if (q := _amount(s.unit)) and s.unit.kind in ("cell", "item", "sentence")]
    if not word or len(given) < 2 or any(stem(word) in unit.own for unit, _ in given):
        return None
    same = [(unit, q) for unit, q in given if q.dimension == given[0][1].dimension]
    return max(same, key=lambda pair: v.EXTREMES[word] * pair[1].size)[0]


def _amount(unit: Unit) -> Quantity | None:
    numbers = quantities(unit.value)
    found = next((n for n in numbers if n.dimension == "money"), None) or (numbers[-1] if numbers else None)
    named = next((word.lower() for word in TOKEN.findall(unit.column) if word.lower() in v.UNITS), "")
    if found and not found.unit and named:
        return replace(found, unit=named, dimension=v.UNITS[named][0])
    return found


def _sum(question: Question, seen: Sequence[Unit]) -> Looking:
    """The amounts of the named items, or of the whole list, added by the calculator."""
    lists = [(u, q) for u in seen if u.kind in ("item", "cell", "sentence") and (q := _amount(u))]
    items = _ITEMS.search(question.text)
    names = [*items[1].split(", "), items[2]] if items else []
    names = [" ".join(w for w in name.split() if w.lower() not in v.STOP and not _SUM.fullmatch(w)) for name in names]
    if names and all(names):
        parts = _items(names, question, lists)
    else:
        parts = _whole_list(question, lists)
    if len(parts) < 2 or len({q.unit for _, q in parts}) > 1:
        return None
    result = yield "calculate", {"expression": "+".join(plain(q.amount) for _, q in parts)}
    if "value" not in result:
        return None
    unit = parts[0][1].unit.upper() if parts[0][1].dimension == "money" else parts[0][1].unit
    total = f"{result['value']} {unit}".strip()
    listed = "; ".join(u.text.rstrip(".") for u, _ in parts)
    return Found(f"Total: {total} ({listed}).", tuple(dict.fromkeys(u.ref for u, _ in parts)))


Priced = tuple[Unit, Quantity]


def _items(names: Sequence[str], question: Question, lists: Sequence[Priced]) -> list[Priced]:
    """One amount for each name; those of one section belong together. Empty when one is missing."""
    scale = Scale.of(question, [unit for unit, _ in lists])
    wanted = [[t for t in ask(name).terms if t.key not in _COSTS] for name in names]
    found = [[(u, q) for u, q in lists if terms and all(t.within(u.own) for t in terms)] for terms in wanted]
    together = Counter(section for pairs in found for section in {u.section for u, _ in pairs})
    if not all(found):
        return []
    return [max(p, key=lambda pair: (together[pair[0].section], round(scale.coverage(question, pair[0]), 1), pair[1].dimension == "money")) for p in found]


def _whole_list(question: Question, lists: Sequence[Priced]) -> list[Priced]:
    """The items of the one list that the question is about, without its own total."""
    groups: dict[tuple[str, str, str], list[Priced]] = {}
    for unit, quantity in lists:
        if unit.kind != "sentence":
            groups.setdefault((*unit.section, f"{unit.kind}{unit.column}{quantity.unit}"), []).append((unit, quantity))
    scale = Scale.of(question, [unit for unit, _ in lists])
    scored = [(max(scale.coverage(question, u) for u, _ in group), group) for group in groups.values() if len(group) > 1]
    score, chosen = max(scored, key=lambda pair: pair[0], default=(0.0, []))
    return [(u, q) for u, q in chosen if stem("total") not in u.own] if score >= ENOUGH else []


_COSTS: Final = frozenset(stem(w) for w in "cost price expense fee amount charge spending bill".split())


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
    words = ask(text).query
    places = [f"{len(overview.documents)} documents"] if overview.documents else []
    places += [f"{len(overview.tables)} tables"] if overview.tables else []
    return f"searched {' and '.join(places) or 'an empty collection'} for “{words}”"
