"""A person's word on an effect that nobody knows of: how it is asked for, and understood in every shape that clients
send. It looks like an approval, so that a page which shows those shows this; to approve is to say that it happened."""

from typing import Any, Final

from pydantic import ValidationError

from graph.approval import card, flat
from graph.ledger import EffectDecision

_VERDICTS: Final = ("happened", "did_not", "retry")
# Who puts the question away has said nothing: what became of the effect isn't known by that.
_WORDS: Final = {
    **dict.fromkeys(("approve", "accept", "yes", "happened"), "happened"),
    **dict.fromkeys(("reject", "no", "did_not", "did not", "did-not"), "did_not"),
    "retry": "retry",
}
_ANSWERED: Final = ("respond", "response")


def verdict_payload(*, key: str, step_id: str, tool: str, arguments: dict[str, Any], reason: str) -> dict[str, Any]:
    """As an approval's, but it never expires, and nothing of it can be edited."""
    asked = f"Step {step_id}: {reason}. Did it happen?"
    how = "Approve if it did, reject if it did not; answer `retry` to have it done once more."
    return {
        **card(tool, arguments, f"{asked} {how}", ("approve", "reject"), ignorable=False),
        "id": key,
        "kind": "effect",
        "expires_at": None,
        "response_schema": {
            "type": "object",
            "properties": {
                "decision": {"enum": list(_VERDICTS)},
                "approval_id": {"const": key},
                "note": {"type": "string"},
            },
            "required": ["decision"],
        },
    }


def read_verdict(value: Any) -> EffectDecision | None:
    """In the shapes that `read_decision` knows; `happened`, `did_not` and `retry` are words of their own in each, and
    may be what somebody answers in words. None for anything else."""
    given = flat(value)
    if given is None:
        return None
    word = given.get("decision") or given.get("type")
    note = given.get("note") or given.get("reason") or given.get("message") or given.get("args")
    if word in _ANSWERED:
        word, note = note, ""
    try:
        verdict: Any = _WORDS.get(str(word).strip().lower())
        said = note if isinstance(note, str) else ""
        return EffectDecision(decision=verdict, note=said, by=given.get("by") or "")
    except ValidationError:
        return None
