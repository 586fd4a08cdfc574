"""A run that waits for a person, as a message: what is asked, where to answer, and what a reply means."""

import re
from typing import Final

import orjson

from graph.events import ApprovalRequested
from graph.ports import ApprovalDecision
from serving.runs.view import RunView

_REPLY: Final = re.compile(r"(?is)\s*(?:(approve|yes)|(reject|no))[\s.!]*|\s*reject\b[\s,.:;-]+(.+)")


def asked_by(view: RunView, address: str) -> str:
    """`address`: where the run is found."""
    if view.approvals:
        return _question(view, view.approvals[0], address)
    if view.effects:
        effect = view.effects[0]
        return (
            f"Nobody knows whether `{effect.tool}` happened: {effect.reason}\n\nSay what became of it: "
            f"`trireme effects {view.run_id}` or {address}/effects"
        )
    return f"The run stands still: it was paused. It goes on with `trireme resume {view.run_id}` ({address})."


def _question(view: RunView, approval: ApprovalRequested, address: str) -> str:
    more = f" ({len(view.approvals) - 1} more wait behind it)" if len(view.approvals) > 1 else ""
    arguments = orjson.dumps(approval.arguments, option=orjson.OPT_INDENT_2).decode()
    how = f"`trireme approve {view.run_id}`, or POST {address}/approve"
    if view.profile.approval == "reply":
        how = f"Reply `approve`, or `reject` and why. Else: {how}"
    lines = [
        f"**Approval needed{more}**: {approval.description}",
        f"```json\n{arguments}\n```",
        f"{how}. The run: {address}",
        f"It expires at {approval.expires_at}.",
    ]
    return "\n\n".join(lines)


def reply_of(text: str) -> ApprovalDecision | None:
    """What a person's message says to a question: only a plain yes or no; anything else is no decision."""
    found = _REPLY.fullmatch(text)
    if found is None:
        return None
    return ApprovalDecision(
        type="approve" if found[1] else "reject", reason=(found[3] or "").strip()[:2_000], by="chat"
    )
