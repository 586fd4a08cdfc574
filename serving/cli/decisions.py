"""A person's decision, sent; what an approved tool needs to see in clear goes with it, sealed at the server."""

from typing import Any

from privacy.placeholder import find
from serving.cli.client import Client
from serving.cli.private import Private


async def send_decision(
    client: Client,
    private: Private,
    run_id: str,
    approval: dict[str, Any],
    decision: str,
    arguments: dict[str, Any] | None = None,
    reason: str = "",
) -> dict[str, Any]:
    """`approval` is as restored for the person. An approved tool call gets the values behind its placeholders."""
    clear = approval["arguments"]
    body: dict[str, Any] = {
        "approval_id": approval["approval_id"],
        "decision": decision,
        "arguments": arguments,
        "reason": private.redact(reason),
    }
    if decision == "approve" and approval["approval_kind"] == "tool":
        body["reveal"] = revealed(private, clear)
    answer: dict[str, Any] = await client.post(f"/runs/{run_id}/approve", body)
    return answer


async def send_verdict(
    client: Client, private: Private, run_id: str, effect: dict[str, Any], decision: str, note: str = ""
) -> dict[str, Any]:
    """What a person says about an unknown effect, given as restored. A retry gets the values that it needs again."""
    body: dict[str, Any] = {"decision": decision, "round": effect["round"], "note": private.redact(note)}
    if decision == "retry":
        body["reveal"] = revealed(private, effect["arguments"])
    answer: dict[str, Any] = await client.post(f"/runs/{run_id}/effects/{effect['key']}", body)
    return answer


def revealed(private: Private, value: Any) -> dict[str, str]:
    """Placeholder -> value for everything personal in an action's arguments."""
    texts = [private.redact(text) for text in _texts(value)]
    placeholders = {str(found.placeholder) for text in texts for found in find(text)}
    return {each: private.restore(each) for each in sorted(placeholders) if private.restore(each) != each}


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []
