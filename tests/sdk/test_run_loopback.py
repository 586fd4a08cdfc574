"""A hosted graph is a client of the server that it runs in, without being told where that is."""

from typing import Any


async def test_a_graph_asks_the_server_that_it_runs_in(client: Any, thread: str) -> None:
    values = await client.runs.wait(thread, "caller", input={"key": thread})
    assert values["waited"] == {"steps": 2, "done": 2}
    assert (values["asked"]["metadata"]["made_by"], values["asked"]["status"]) == ("caller", "idle")
    assert (await client.threads.get_state(values["thread"]))["values"] == values["waited"]
    assert values["streamed"] == ["metadata", "custom"]
    assert values["cached"] == [f"{thread} 1", f"{thread} 1", None, {"n": 1}]
