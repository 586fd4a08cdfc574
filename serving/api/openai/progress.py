"""What an agent does, in lines that a chat client shows as its thinking."""

from collections.abc import Callable
from typing import Any, Final

from graph.profile import Progress

Body = dict[str, Any]
_WIDTH: Final = 160


def thought_of(kind: str, body: Body, wanted: Progress) -> str:
    """A paragraph that ends with a line feed; empty for what isn't told."""
    told = {"none": {}, "steps": _STEPS, "all": _STEPS | _TOOLS}[wanted]
    return f"{told[kind](body)}\n" if kind in told else ""


def cut(text: str) -> str:
    """To a line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else flat[: _WIDTH - 1] + "…"


def _plan(body: Body) -> str:
    steps = [
        f"- {step['id']} {cut(step['goal'])}"
        + (f" (after {', '.join(step['depends_on'])})" if step["depends_on"] else "")
        for step in body["plan"]["steps"]
    ]
    return "\n".join(["Plan:", *steps])


def _step(body: Body) -> str:
    outcome = body["outcome"]
    return cut(f"{outcome['step_id']} {outcome['status']}: {outcome['finding']}")


def _verdict(body: Body) -> str:
    reasons = "; ".join(body["verdict"]["reasons"])
    return cut(f"Verdict: {body['verdict']['decision']}" + (f": {reasons}" if reasons else ""))


def _started(body: Body) -> str:
    arguments = ", ".join(str(value) for value in body["arguments"].values())
    return cut(f"{body['step_id']} {body['tool']}: {arguments}")


def _finished(body: Body) -> str:
    end = f"{len(body['sources'])} sources" if body["ok"] else "failed"
    return f"{body['step_id']} {body['tool']}: {end}, {body['duration_ms']:.0f} ms"


_STEPS: Final[dict[str, Callable[[Body], str]]] = {
    "plan_proposed": _plan,
    "plan_edited": _plan,
    "step_finished": _step,
    "verdict_given": _verdict,
    "approval_decided": lambda body: f"Decision: {body['decision']}",
    "bound_reached": lambda body: f"Limit reached: {body['bound']}, {body['used']:g} of {body['limit']:g}",
}
_TOOLS: Final[dict[str, Callable[[Body], str]]] = {"tool_started": _started, "tool_finished": _finished}
