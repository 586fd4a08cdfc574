"""A thread that has gone some steps, without a run."""

from typing import Any

from langgraph_sdk.client import LangGraphClient


def step(values: dict[str, Any], as_node: str) -> dict[str, Any]:
    return {"updates": [{"values": values, "as_node": as_node}]}


BEGIN = [step({"steps": 9}, "__input__"), step({"steps": 9}, "__start__")]


async def walked(client: LangGraphClient, steps: int = 3) -> str:
    """The id of a thread of the graph `slow`."""
    walk = [*BEGIN, *([step({"done": 1}, "step")] * steps)]
    return (await client.threads.create(graph_id="slow", supersteps=walk))["thread_id"]
