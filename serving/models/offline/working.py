"""A step as a sequence of tool calls that ends with a report. It is replayed over its transcript: it keeps no state."""

import re
from collections.abc import Generator, Mapping
from typing import Any, Final

from graph.ports import StepTask, ToolSchema
from serving.models.offline.arithmetic import REFERENCE, expression, is_arithmetic
from serving.models.offline.choosing import fill, fitting
from serving.models.offline.comparing import comparison, value_for, verdict
from serving.models.offline.language import Quantity, plain, quantities
from serving.models.offline.lookup import Call, Found, ask_documents, ask_tables, searched
from serving.models.offline.planning import FILE, clauses, is_file, is_mail, is_statement, mail_tool

Working = Generator[Call, Mapping[str, Any], Call]
_RECIPIENT: Final = re.compile(r"\[EMAIL_\d+\]|[\w.+-]+@[\w-]+\.[\w.-]+\w|\[(?:PERSON|NAME)_\d+\]")


def work(task: StepTask, tools: Mapping[str, ToolSchema]) -> Working:
    """Yields tool calls, is sent their results, returns the call of `report`."""
    goal = task.step.goal
    if goal.startswith("Compare: "):
        return (yield from _compare(task))
    if is_mail(goal):
        return (yield from _mail(task))
    if is_file(goal):
        return (yield from _write(task))
    if is_statement(goal):
        return _done(Found(f"Noted: {goal}"))
    calculates = is_arithmetic(goal) or (task.known and REFERENCE.search(goal))
    if calculates and (sum_ := expression(goal, known.amount if (known := _known(task)) else None)):
        return (yield from _calculate(sum_, task))
    return (yield from _look(task, tools))


def _look(task: StepTask, tools: Mapping[str, ToolSchema]) -> Working:
    goal = task.step.goal
    if other := fitting(task.step, tools):
        result = yield other.name, fill(other, goal)
        if "error" not in result:
            return _done(Found("; ".join(f"{key}: {value}" for key, value in result.items())))
    found = None
    if "query_table" in tools and not task.feedback:
        found = yield from ask_tables(goal, task.overview)
    if found is None and "search_documents" in tools:
        found = yield from ask_documents(goal, task)
    if found:
        return _done(found)
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
        return _done(Found(f"{first}: {a.finding} {second}: {b.finding}", _refs(task)))
    text = verdict(compared, (left, right))
    if compared.difference and left.unit == right.unit:
        low, high = sorted((left.amount, right.amount))
        result = yield "calculate", {"expression": f"{plain(high)}-{plain(low)}"}
        text += f" The difference is {result['value']} {left.called}." if "value" in result else ""
    return _done(Found(text, _refs(task)))


def _calculate(sum_: str, task: StepTask) -> Working:
    result = yield "calculate", {"expression": sum_}
    if "value" not in result:
        return _failed(f"{sum_} could not be calculated: {_error(result)}", "the figure")
    known = _known(task)
    unit = f" {known.called}" if known and known.unit and REFERENCE.search(task.step.goal) else ""
    return _done(Found(f"{task.step.goal.rstrip('?. ')}: {result['value']}{unit} ({sum_})", _refs(task)))


def _write(task: StepTask) -> Working:
    found = FILE.search(task.step.goal)
    name = found.group() if found else "summary.md"
    if all(outcome.status != "done" for outcome in task.known):
        return _failed(f"{name} was not written: there is nothing to put into it.", "a finding to write down")
    title = re.sub(r"[-_]", " ", name.rpartition(".")[0]).capitalize()
    result = yield "write_artifact", {"name": name, "content": f"# {title}\n\n{_body(task)}\n"}
    if "error" in result:
        return _failed(f"{name} was not written: {_error(result)}", name)
    summary = "The summary is written" if "summar" in task.step.goal.lower() else "This is written"
    return _done(Found(f"{summary} to {name}.", _refs(task)))


def _mail(task: StepTask) -> Working:
    places = (task.step.goal, " ".join(outcome.finding for outcome in task.known), task.goal)
    to = next((match.group() for place in places if (match := _RECIPIENT.search(place))), "")
    if not to:
        return _failed("No e-mail was written: nothing names an address to write to.", "the recipient's e-mail address")
    if all(outcome.status != "done" for outcome in task.known):
        return _failed(f"No e-mail to {to} was written: there is nothing to put into it.", "a finding to send")
    hinted = [tool for tool in task.step.tools if tool in ("draft_email", "send_email")]
    tool = next(iter(hinted), "") or mail_tool(task.step.goal)
    done = "sent" if tool == "send_email" else "drafted"
    subject = clauses(task.goal)[0][:80].rstrip("?. ")
    result = yield tool, {"to": to, "subject": subject, "body": f"Hello,\n\n{_body(task)}\n"}
    if "error" in result:
        return _failed(f"The e-mail to {to} was not {done}: {_error(result)}", "the e-mail")
    return _done(Found(f"The e-mail to {to} is {done} (subject: {subject}).", _refs(task)))


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


def _done(found: Found) -> Call:
    return "report", {"status": "done", "finding": found.text, "sources": list(found.refs), "missing": ""}


def _failed(finding: str, missing: str) -> Call:
    return "report", {"status": "failed", "finding": finding, "sources": [], "missing": missing}
