"""A step as a sequence of tool calls that ends with a report. It is replayed over its transcript: it keeps no state."""

import re
from collections.abc import Generator, Mapping
from typing import Any, Final

from graph.ports import StepTask
from serving.models.offline.answering import Found, Looking, answer
from serving.models.offline.english import quantities
from serving.models.offline.facts import facts
from serving.models.offline.planning import FILE, POINTS_BACK, action, clauses
from serving.models.offline.ranking import ask
from serving.models.offline.tables import Query, sentence, table_query

Call = tuple[str, dict[str, Any]]
Working = Generator[Call, Mapping[str, Any], Call]
NOT_SAID: Final = "The documents do not say"
_RECIPIENT: Final = re.compile(r"\[EMAIL_\d+\]|[\w.+-]+@[\w-]+\.[\w.-]+\w|\[(?:PERSON|NAME)_\d+\]")
# Sums in words as the calculator reads them.
_ARITHMETIC: Final = {
    r"(?<=\d)\s?(?:€|eur|usd|gbp|chf|euros?|dollars?|pounds?)\b|[€$£]": "", r"\bper ?cent\b": "%", r"% on": "% of",
    r"\bhalf of\b": "1/2 *", r"\bplus\b": "+", r"\bminus\b": "-", r"\btimes\b": "*", r"\bdivided by\b": "/",
    r"^\W*(?:(?:what(?:['’]s| is)|how much is|calculate|compute|an?|the|\w+ of(?= \d)) ?)+(?=[\d(])": "",
}  # fmt: skip


def work(task: StepTask) -> Working:
    """Yields tool calls, is sent their results, returns the call of `report`."""
    goal, tool = task.step.goal, action(task.step.goal)
    if tool:
        return (yield from _deliver(task, tool))
    numbers = quantities(task.known[-1].finding) if task.known else []
    known = next((number for number in numbers if number.dimension == "money"), numbers[-1] if numbers else None)
    if sum_ := expression(goal, known.amount if known else ""):
        result = yield "calculate", {"expression": sum_}
        done = f"{sum_} = {result.get('value')} {known.unit if known else ''}".rstrip() if "value" in result else ""
        return _report(task, done, f"{sum_} could not be calculated.")
    found, asked = (yield from _look(task)), f"“{goal.partition(' (about: ')[0].rstrip('.?')}”"
    if found and not found.sure:
        return _report(task, "", f"{NOT_SAID} this outright: {asked}. Closest: {found.text}", found.refs)
    return _report(task, found.text if found else "", f"{NOT_SAID}: {asked}.", found.refs if found else ())


def expression(text: str, known: str = "") -> str:
    """What a text asks to calculate, if it asks for nothing else. `known` stands in for `that`, `it`, `the total`."""
    text = (POINTS_BACK.sub(known, text, count=1) if known else text).lower().strip(" ?.!=")
    for pattern, instead in _ARITHMETIC.items():
        text = re.sub(pattern, instead, text)
    return text if re.fullmatch(r"(?:[\d\s.,()+*/%^-]|of)*", text) and re.search(r"\d.*[-+*/^%].*\d", text) else ""


def _look(task: StepTask) -> Looking:
    """Asks the tables first, but for prices: what was paid for several things is not what they cost."""
    goal, tables = task.step.goal, {table.path for table in task.overview.tables}
    asked = table_query(goal, task.overview)
    if asked and not asked.prices and (found := (yield from _rows(asked))):
        return found
    result = yield "search_documents", {"query": goal, "limit": 20}
    hits = [hit for hit in result.get("hits", ()) if hit["path"] not in tables]
    found = yield from answer(ask(goal), facts(hits))
    return ((yield from _rows(asked)) or found) if asked and asked.prices and not (found and found.sure) else found


def _rows(asked: Query) -> Looking:
    said = sentence(asked, (yield "query_table", {"sql": asked.sql}))
    return Found(said, (asked.path,)) if said else None


def _deliver(task: StepTask, tool: str) -> Working:
    """Writes the findings into a file or an e-mail."""
    goal, file, mail = task.step.goal, FILE.search(task.step.goal), tool != "write_artifact"
    to = next((found for place in (goal, task.goal) for found in _RECIPIENT.findall(place)), "")
    what = f"The e-mail to {to or 'nobody'}" if mail else file.group() if file else "summary.md"
    if all(outcome.status != "done" for outcome in task.known) or (mail and not to):
        return _report(task, "", f"{what} was not written: nothing was found, or nothing names an address.")
    paths = ", ".join(dict.fromkeys(source.path for outcome in task.known for source in outcome.sources))
    body = "\n\n".join([*(outcome.finding for outcome in task.known), f"Sources: {paths or 'none'}"])
    title = clauses(task.goal)[0][:80].rstrip("?. ")
    letter = {"to": to, "subject": title, "body": f"Hello,\n\n{body}\n"}
    result = yield tool, letter if mail else {"name": what, "content": f"# {title}\n\n{body}\n"}
    verb = {"send_email": "sent", "draft_email": "drafted"}.get(tool, "written")
    error = result.get("error", {}).get("message", "it gave no result")
    return _report(task, "" if "error" in result else f"{what} is {verb}.", f"{what} was not {verb}: {error}")


def _report(task: StepTask, done: str, missing: str, refs: tuple[str, ...] = ()) -> Call:
    """What is done, or else what is missing; it rests on `refs`, or on what the steps before it rest on."""
    inherited = dict.fromkeys(source.ref for outcome in task.known for source in outcome.sources)
    sources = list(refs or (inherited if done else ()))
    return "report", {"status": "done" if done else "failed", "finding": done or missing, "sources": sources}
