"""A step as a sequence of tool calls that ends with a report. It is replayed over its transcript: it keeps no state."""

import re
from collections.abc import Generator, Mapping
from typing import Any, Final

from graph.ports import StepTask, ToolSchema
from serving.models.offline.arithmetic import REFERENCE, expression, is_arithmetic
from serving.models.offline.comparing import comparison, value_for, verdict
from serving.models.offline.language import Quantity, plain, quantities
from serving.models.offline.lookup import Call, ask_documents, ask_tables, searched
from serving.models.offline.planning import FILE, clauses, is_file, is_mail, is_statement, mail_tool

Working = Generator[Call, Mapping[str, Any], Call]
_RECIPIENT: Final = re.compile(r"\[EMAIL_\d+\]|[\w.+-]+@[\w-]+\.[\w.-]+\w|\[(?:PERSON|NAME)_\d+\]")


def work(task: StepTask, tools: Mapping[str, ToolSchema]) -> Working:
    """Yields tool calls, is sent their results, returns the call of `report`."""
    goal, known = task.step.goal, _known(task)
    if goal.startswith("Compare: "):
        return (yield from _compare(task))
    if is_mail(goal) or is_file(goal):
        return (yield from _deliver(task))
    if is_statement(goal):
        return _done(f"Noted: {goal}")
    calculates = is_arithmetic(goal) or (task.known and REFERENCE.search(goal))
    if calculates and (sum_ := expression(goal, known.amount if known else None)):
        return (yield from _calculate(sum_, task))
    return (yield from _look(task, tools))


def _look(task: StepTask, tools: Mapping[str, ToolSchema]) -> Working:
    goal, found = task.step.goal, None
    if "query_table" in tools and not task.feedback:
        found = yield from ask_tables(goal, task.overview)
    if found is None and "search_documents" in tools:
        found = yield from ask_documents(goal, task)
    if found:
        return _done(found.text, found.refs)
    asked = goal.partition(" (about: ")[0].rstrip(".?")
    return _failed(f"The documents do not say: “{asked}”.", searched(goal, task.overview))


def _compare(task: StepTask) -> Working:
    compared = comparison(task.step.goal.removeprefix("Compare: "))
    missing = [outcome.finding for outcome in task.known if outcome.status != "done"]
    if compared is None or missing or len(task.known) != 2:
        return _failed("The comparison can't be made: " + " ".join(missing or ["a value is missing."]), "both values")
    (first, second), (a, b) = compared.options, task.known
    left = value_for(first, second, compared.attribute, a.finding)
    right = value_for(second, first, compared.attribute, b.finding)
    if left is None or right is None:
        return _done(f"{first}: {a.finding} {second}: {b.finding}", _refs(task))
    text = verdict(compared, (left, right))
    if compared.difference and left.unit == right.unit:
        low, high = sorted((left.amount, right.amount))
        result = yield "calculate", {"expression": f"{plain(high)}-{plain(low)}"}
        text += f" The difference is {result['value']} {left.called}." if "value" in result else ""
    return _done(text, _refs(task))


def _calculate(sum_: str, task: StepTask) -> Working:
    result = yield "calculate", {"expression": sum_}
    if "value" not in result:
        return _failed(f"{sum_} could not be calculated: {_error(result)}", "the figure")
    known = _known(task)
    unit = f" {known.called}" if known and known.unit and REFERENCE.search(task.step.goal) else ""
    return _done(f"{task.step.goal.rstrip('?. ')}: {result['value']}{unit} ({sum_})", _refs(task))


def _deliver(task: StepTask) -> Working:
    """Writes the findings to a file, or into an e-mail."""
    goal, file = task.step.goal, FILE.search(task.step.goal)
    mail = is_mail(goal)
    places = (goal, " ".join(outcome.finding for outcome in task.known), task.goal)
    to = next((match.group() for place in places if (match := _RECIPIENT.search(place))), "")
    what = f"The e-mail to {to or 'somebody'}" if mail else file.group() if file else "summary.md"
    if mail and not to:
        return _failed(f"{what} was not written: nothing names an address.", "the recipient's e-mail address")
    if all(outcome.status != "done" for outcome in task.known):
        return _failed(f"{what} was not written: there is nothing to put into it.", "a finding to write down")
    title = clauses(task.goal)[0][:80].rstrip("?. ")
    tool = next((name for name in task.step.tools if name.endswith("_email")), mail_tool(goal))
    letter = {"to": to, "subject": title, "body": f"Hello,\n\n{_body(task)}\n"}
    page = {"name": what, "content": f"# {title}\n\n{_body(task)}\n"}
    result = yield (tool, letter) if mail else ("write_artifact", page)
    done = ("sent" if tool == "send_email" else "drafted") if mail else "written"
    if "error" in result:
        return _failed(f"{what} was not {done}: {_error(result)}", what)
    return _done(f"{what} is {done} (subject: {title})." if mail else f"{what} is written.", _refs(task))


def _body(task: StepTask) -> str:
    paths = dict.fromkeys(source.path for outcome in task.known for source in outcome.sources)
    sources = [f"Sources: {', '.join(paths)}"] if paths else []
    return "\n\n".join([*(outcome.finding for outcome in task.known), *sources])


def _known(task: StepTask) -> Quantity | None:
    """The figure of the last finding: its amount of money, else the last number in it."""
    finding = next((outcome.finding for outcome in reversed(task.known) if outcome.status == "done"), "")
    numbers = quantities(finding.rpartition(": ")[2]) or quantities(finding)
    return next((n for n in numbers if n.dimension == "money"), numbers[-1] if numbers else None)


def _refs(task: StepTask) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.ref for outcome in task.known for source in outcome.sources))


def _error(result: Mapping[str, Any]) -> str:
    error = result.get("error")
    return str(error.get("message", "")) if isinstance(error, Mapping) else "it gave no result"


def _done(finding: str, refs: tuple[str, ...] = ()) -> Call:
    return "report", {"status": "done", "finding": finding, "sources": list(refs), "missing": ""}


def _failed(finding: str, missing: str) -> Call:
    return "report", {"status": "failed", "finding": finding, "sources": [], "missing": missing}
