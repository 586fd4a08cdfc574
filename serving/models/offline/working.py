"""A step as a sequence of tool calls that ends with a report. The worker is replayed over its transcript, so it keeps no state."""

import re
from collections.abc import Generator, Mapping
from decimal import Decimal
from typing import Any, Final

from graph.ports import StepTask, ToolSchema
from graph.state import StepOutcome
from serving.models.offline.arithmetic import REFERENCE, expression, is_arithmetic
from serving.models.offline.choosing import fill, fitting
from serving.models.offline.comparing import comparison, value_for, verdict
from serving.models.offline.language import Quantity, plain, quantities
from serving.models.offline.lookup import Call, Found, ask_documents, ask_tables, searched
from serving.models.offline.planning import FILE, MAIL_VERB, MAILING, REMEMBER, WRITING, clauses

Working = Generator[Call, Mapping[str, Any], Call]
_RECIPIENT: Final = re.compile(r"\[EMAIL_\d+\]|[\w.+-]+@[\w-]+\.[\w.-]+\w|\[(?:PERSON|NAME)_\d+\]")


def work(task: StepTask, tools: Mapping[str, ToolSchema]) -> Working:
    goal = task.step.goal
    if goal.startswith("Compare: "):
        return (yield from _compare(task))
    if MAILING.search(goal) and MAIL_VERB.match(goal):
        return (yield from _mail(task))
    if FILE.search(goal) and WRITING.search(goal):
        return (yield from _write(task))
    if REMEMBER.match(goal) and "?" not in goal:
        return _done(Found(f"Noted: {goal}"))
    calculates = is_arithmetic(goal) or (task.known and REFERENCE.search(goal))
    if calculates and (sum_ := expression(goal, _known_number(task))):
        return (yield from _calculate(sum_, task))
    return (yield from _look(task, tools))


def _look(task: StepTask, tools: Mapping[str, ToolSchema]) -> Working:
    goal = task.step.goal
    other = fitting(task.step, tools)
    if other:
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
        return _failed("The comparison can't be made: " + " ".join(missing or ["the values are missing."]), "both values")
    (first, second), (a, b) = compared.options, task.known
    values = value_for(first, second, compared.attribute, a.finding), value_for(second, first, compared.attribute, b.finding)
    if values[0] is None or values[1] is None:
        return _done(Found(f"{first}: {a.finding} {second}: {b.finding}", _refs(task)))
    text = verdict(compared, (values[0], values[1]))
    if compared.difference and values[0].unit == values[1].unit:
        low, high = sorted(values, key=lambda value: value.amount if value else Decimal(0))
        result = yield "calculate", {"expression": f"{plain(high.amount)}-{plain(low.amount)}"}
        if "value" in result:
            text += f" The difference is {result['value']} {_unit(high)}."
    return _done(Found(text, _refs(task)))


def _calculate(sum_: str, task: StepTask) -> Working:
    result = yield "calculate", {"expression": sum_}
    if "value" not in result:
        return _failed(f"{sum_} could not be calculated: {_error(result)}", "the figure")
    known = _known(task)
    unit = f" {_unit(known)}" if known and known.unit and REFERENCE.search(task.step.goal) else ""
    return _done(Found(f"{task.step.goal.rstrip('?. ')}: {result['value']}{unit} ({sum_})", _refs(task)))


def _write(task: StepTask) -> Working:
    found = FILE.search(task.step.goal)
    name = found.group() if found else "summary.md"
    findings = [outcome for outcome in task.known if outcome.status == "done"]
    if not findings:
        return _failed(f"{name} was not written: there is nothing to put into it.", "a finding to write down")
    title = re.sub(r"[-_]", " ", name.rpartition(".")[0]).capitalize()
    result = yield "write_artifact", {"name": name, "content": f"# {title}\n\n{_body(task)}\n"}
    if "error" in result:
        return _failed(f"{name} was not written: {_error(result)}", name)
    return _done(Found(f"The summary is written to {name}." if "summar" in task.step.goal.lower() else f"Written to {name}.", _refs(task)))


def _mail(task: StepTask) -> Working:
    goal = task.step.goal
    hinted = next((tool for tool in task.step.tools if tool in ("draft_email", "send_email")), "")
    tool = hinted or ("send_email" if re.match(r"(?:send|e-?mail|mail)\b", goal, re.IGNORECASE) else "draft_email")
    to = _RECIPIENT.search(goal) or _RECIPIENT.search(" ".join(outcome.finding for outcome in task.known)) or _RECIPIENT.search(task.goal)
    if to is None:
        return _failed("No e-mail was written: the goal and the documents name no address.", "the recipient's e-mail address")
    if task.known and all(outcome.status != "done" for outcome in task.known):
        return _failed(f"No e-mail to {to.group()} was written: there is nothing to put into it.", "a finding to send")
    subject = clauses(task.goal)[0][:80].rstrip("?. ")
    result = yield tool, {"to": to.group(), "subject": subject, "body": f"Hello,\n\n{_body(task)}\n"}
    done = "sent" if tool == "send_email" else "drafted"
    if "error" in result:
        return _failed(f"The e-mail to {to.group()} was not {done}: {_error(result)}", "the e-mail")
    return _done(Found(f"The e-mail to {to.group()} is {done} (subject: {subject}).", _refs(task)))


def _body(task: StepTask) -> str:
    paths = dict.fromkeys(source.path for outcome in task.known for source in outcome.sources)
    sources = f"\n\nSources: {', '.join(paths)}" if paths else ""
    return "\n\n".join(outcome.finding for outcome in task.known) + sources if task.known else task.step.goal


def _known(task: StepTask) -> Quantity | None:
    """The figure of the last finding: its amount of money, else the last number in it."""
    findings = [outcome.finding for outcome in task.known if outcome.status == "done"]
    numbers = quantities(findings[-1].rpartition(": ")[2]) or quantities(findings[-1]) if findings else ()
    return next((n for n in numbers if n.dimension == "money"), numbers[-1] if numbers else None)


def _known_number(task: StepTask) -> Decimal | None:
    known = _known(task)
    return known.amount if known else None


def _unit(quantity: Quantity) -> str:
    return quantity.unit.upper() if quantity.dimension == "money" else quantity.unit


def _refs(task: StepTask) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.ref for outcome in task.known for source in outcome.sources))


def _error(result: Mapping[str, Any]) -> str:
    error = result.get("error")
    return str(error.get("message", "")) if isinstance(error, Mapping) else str(error or "no result")


def _done(found: Found) -> Call:
    return "report", {"status": "done", "finding": found.text, "sources": list(found.refs), "missing": ""}


def _failed(finding: str, missing: str) -> Call:
    return "report", {"status": "failed", "finding": finding, "sources": [], "missing": missing}


def stands(outcome: StepOutcome) -> bool:
    return outcome.status == "done"
