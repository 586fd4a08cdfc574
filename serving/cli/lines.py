"""One line of text for one event of the log; None for events that a person needn't see."""

from collections.abc import Callable
from typing import Any

from rich.text import Text

Event = dict[str, Any]
_WIDTH = 160


def line_of(event: Event) -> Text | None:
    show = _LINES.get(event["kind"])
    if show is None:
        return None
    label, text, style = show(event)
    return Text.assemble((f"{label:<9}", style), " ", text)


def _cut(text: str) -> str:
    """One line of at most _WIDTH characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else flat[: _WIDTH - 1] + "…"


def _plan(event: Event) -> tuple[str, str, str]:
    lines = []
    for step in event["plan"]["steps"]:
        after = f" after {', '.join(step['depends_on'])}" if step["depends_on"] else ""
        tools = f"  [{', '.join(step['tools'])}]" if step["tools"] else ""
        lines.append(_cut(f"{step['id']} {step['goal']}{after}{tools}"))
    return "plan", ("\n" + " " * 10).join(lines), "bold"


def _model_failed(event: Event) -> tuple[str, str, str]:
    tokens = event["input_tokens"] + event["output_tokens"]
    return "model", f"{event['role']}: {event['code']}: a reply of {tokens:,} tokens can't be used", "yellow"


def _tool(event: Event) -> tuple[str, str, str]:
    what = "" if event["ok"] else "  " + event["content"]
    sources = f"  {len(event['sources'])} sources" if event["sources"] else ""
    return event["step_id"], _cut(f"{event['tool']}  {event['duration_ms']:.0f} ms{sources}{what}"), "cyan"


def _started(event: Event) -> tuple[str, str, str]:
    arguments = ", ".join(str(value) for value in event["arguments"].values())
    return event["step_id"], _cut(f"{event['tool']}: {arguments}"), "dim"


def _step(event: Event) -> tuple[str, str, str]:
    outcome = event["outcome"]
    style = "green" if outcome["status"] == "done" else "yellow"
    return outcome["step_id"], _cut(f"{outcome['status']}: {outcome['finding']}"), style


def _verdict(event: Event) -> tuple[str, str, str]:
    verdict = event["verdict"]
    reasons = "; ".join(verdict["reasons"])
    return "critic", _cut(verdict["decision"] + (f": {reasons}" if reasons else "")), "bold magenta"


def _claimed(event: Event) -> tuple[str, str, str]:
    again = f", attempt {event['attempt']}" if event["attempt"] > 1 else ""
    return "worker", f"{event['worker']}{again}", "dim"


def _approval(event: Event) -> tuple[str, str, str]:
    return "approval", f"{event['description']} ({event['approval_id']})", "bold yellow"


def _unknown(event: Event) -> tuple[str, str, str]:
    return "effect", _cut(f"unknown: {event['reason']} ({event['key'][:12]})"), "bold yellow"


def _effect_decided(event: Event) -> tuple[str, str, str]:
    note = f": {event['note']}" if event["note"] else ""
    return "effect", _cut(f"{event['decision'].replace('_', ' ')}, says {event['by']}{note}"), "yellow"


def _finished(event: Event) -> tuple[str, str, str]:
    why = f": {event['code']}: {event['message']}" if event["code"] else ""
    if left := len(event.get("effects", ())):
        why += f"; {left} effect{'s' * (left > 1)} that nobody knows of: trireme effects"
    return "run", event["status"] + why, "bold green" if event["status"] == "success" else "bold red"


def _pairs(bounds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in bounds.items())


_LINES: dict[str, Callable[[Event], tuple[str, str, str]]] = {
    "run_claimed": _claimed,
    "run_handed_over": lambda event: ("worker", f"{event['worker']} stops; another one goes on", "dim"),
    "memory_recalled": lambda event: ("memory", "; ".join(event["items"]) or "nothing remembered", "dim"),
    "plan_proposed": _plan,
    "plan_edited": _plan,
    "model_failed": _model_failed,
    "tool_started": _started,
    "tool_finished": _tool,
    "step_finished": _step,
    "verdict_given": _verdict,
    "approval_requested": _approval,
    "approval_decided": lambda event: ("approval", f"{event['decision']} by {event['by']}", "yellow"),
    "effect_unknown": _unknown,
    "effect_decided": _effect_decided,
    "bound_reached": lambda event: ("bound", f"{event['bound']}: {event['used']:g} of {event['limit']:g}", "yellow"),
    "memory_proposed": lambda event: ("memory", "remembers: " + "; ".join(event["items"]), "dim"),
    "noted": lambda event: ("note", f"{event['code']}: {event['message']}", "yellow"),
    "run_forked": lambda event: ("fork", f"goes on from line {event['seq']} of {event['run_id']}", "yellow"),
    "bounds_changed": lambda event: ("bounds", f"{_pairs(event['bounds'])} by {event['by']}", "yellow"),
    "pause_requested": lambda event: ("pause", f"asked for by {event['by']}", "yellow"),
    "run_paused": lambda event: ("pause", f"stands still, by {event['by']}", "bold yellow"),
    "run_resumed": lambda event: ("resume", f"by {event['by']}", "yellow"),
    "cancel_requested": lambda event: ("cancel", f"asked for by {event['by']}", "yellow"),
    "run_finished": _finished,
}
