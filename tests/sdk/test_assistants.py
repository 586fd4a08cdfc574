"""`client.assistants`, method by method, against a real server."""

import asyncio
import uuid
from datetime import datetime
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient
from langgraph_sdk.schema import Config

from serving.hosting.config import AGENT
from tests.sdk.refusal import refused

_FIELDS = {
    "assistant_id", "graph_id", "config", "context", "created_at", "updated_at", "metadata", "version", "name",
    "description",
}  # fmt: skip
NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_every_hosted_graph_has_an_assistant_whose_id_follows_from_its_own(client: LangGraphClient) -> None:
    graph = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
    found = await client.assistants.search(graph_id=AGENT, metadata={"created_by": "system"})
    (own,) = found
    assert own["assistant_id"] == str(uuid.uuid5(graph, AGENT))
    assert (own["name"], own["version"], own["config"], own["context"]) == (AGENT, 1, {}, {})
    assert await client.assistants.get(own["assistant_id"]) == own
    assert await client.assistants.get(AGENT) == own
    assert "hosted graph" in await refused(client.assistants.delete(own["assistant_id"]), 409)


async def test_an_assistant_is_made_as_asked_and_read_as_made(client: LangGraphClient) -> None:
    config: Config = {"configurable": {"collection": "a"}, "recursion_limit": 9, "tags": ["x"]}
    made = await client.assistants.create(
        AGENT, config, metadata={"team": ["ops", {"n": 1}]}, name="Reports", description="Weekly"
    )
    assert set(made) == _FIELDS
    assert made["config"] == config
    assert made["context"] == {"collection": "a"}
    assert (made["name"], made["description"], made["version"], made["graph_id"]) == ("Reports", "Weekly", 1, AGENT)
    assert made["metadata"] == {"team": ["ops", {"n": 1}]}
    for moment in (made["created_at"], made["updated_at"]):
        assert datetime.fromisoformat(str(moment)).utcoffset() is not None
    assert await client.assistants.get(made["assistant_id"]) == made
    plain = await client.assistants.create(AGENT, context={"collection": "b"})
    assert (plain["name"], plain["description"], plain["metadata"]) == ("Untitled", None, {})
    assert plain["config"] == {"configurable": {"collection": "b"}}


async def test_the_same_id_twice_is_refused_or_gives_what_is_there(client: LangGraphClient) -> None:
    id_ = str(uuid.uuid4())
    first = await client.assistants.create(AGENT, assistant_id=id_, name="first", if_exists="raise")
    assert "exists already" in await refused(client.assistants.create(AGENT, assistant_id=id_), 409)
    again = await client.assistants.create(AGENT, assistant_id=id_, name="second", if_exists="do_nothing")
    assert again == first
    ids = [str(uuid.uuid4())] * 8
    made = await asyncio.gather(
        *(client.assistants.create(AGENT, assistant_id=one, if_exists="do_nothing") for one in ids)
    )
    assert len({str(one) for one in made}) == 1


async def test_an_update_is_a_new_version_and_an_old_one_can_count_again(client: LangGraphClient) -> None:
    made = await client.assistants.create(AGENT, metadata={"a": 1}, name="one", context={"k": 1})
    id_ = made["assistant_id"]
    changed = await client.assistants.update(id_, metadata={"b": 2}, name="two", context={"k": 2}, description="D")
    assert changed["version"] == 2
    assert changed["metadata"] == {"a": 1, "b": 2}
    assert (changed["name"], changed["description"], changed["context"]) == ("two", "D", {"k": 2})
    assert changed["config"] == {"configurable": {"k": 2}}
    assert changed["created_at"] == made["created_at"]
    assert changed["updated_at"] > made["updated_at"]
    newest, oldest = await client.assistants.get_versions(id_)
    assert set(newest) == _FIELDS - {"updated_at"}
    assert (newest["version"], newest["name"]) == (2, "two")
    assert (oldest["version"], oldest["name"], oldest["metadata"]) == (1, "one", {"a": 1})
    assert await client.assistants.get_versions(id_, metadata={"b": 2}) == [newest]
    assert await client.assistants.get_versions(id_, limit=1, offset=1) == [oldest]
    back = await client.assistants.set_latest(id_, 1)
    assert (back["version"], back["name"], back["context"]) == (1, "one", {"k": 1})
    third = await client.assistants.update(id_, name="three")
    assert (third["version"], third["context"]) == (3, {"k": 1})
    assert "has no version 99" in await refused(client.assistants.set_latest(id_, 99), 404)


async def test_an_update_may_change_the_graph_and_the_config(client: LangGraphClient) -> None:
    id_ = (await client.assistants.create("slow", {"tags": ["a"]}))["assistant_id"]
    changed = await client.assistants.update(id_, graph_id="chat", config={"tags": ["b"], "recursion_limit": 7})
    assert (changed["graph_id"], changed["config"]) == ("chat", {"tags": ["b"], "recursion_limit": 7})
    asked: Any = {"messages": [{"role": "user", "content": "Ahoy"}]}
    found: Any = await client.runs.wait(None, id_, input=asked)
    assert found["messages"][-1]["content"] == "You said: Ahoy"


async def test_updates_at_once_lose_none(client: LangGraphClient) -> None:
    id_ = (await client.assistants.create(AGENT))["assistant_id"]
    await asyncio.gather(*(client.assistants.update(id_, metadata={f"k{at}": at}) for at in range(8)))
    found = await client.assistants.get(id_)
    assert found["version"] == 9
    assert found["metadata"] == {f"k{at}": at for at in range(8)}


async def test_search_filters_sorts_selects_and_turns_pages(client: LangGraphClient) -> None:
    mark = uuid.uuid4().hex
    names = ["Äpfel", "Birnen 100%", "birnen_2"]
    made = [
        await client.assistants.create(AGENT, name=name, metadata={"mark": mark, "n": at})
        for at, name in enumerate(names)
    ]

    async def found(**wanted: object) -> list[str]:
        return [one["name"] for one in await client.assistants.search(metadata={"mark": mark}, **wanted)]  # type: ignore[call-overload]

    assert await found() == names[::-1]
    assert await found(sort_by="created_at", sort_order="asc") == names
    assert await found(name="BIRNEN", sort_order="asc") == names[1:]
    assert await found(name="%") == ["Birnen 100%"]
    assert await found(name="_") == ["birnen_2"]
    assert await found(graph_id=AGENT, limit=1, offset=1) == ["Birnen 100%"]
    assert await client.assistants.search(metadata={"mark": mark, "n": 1}, select=["name", "version"]) == [
        {"name": "Birnen 100%", "version": 1}
    ]
    for by in ("assistant_id", "graph_id", "name", "updated_at"):
        assert sorted(await found(sort_by=by)) == sorted(names)
    assert await found(sort_by="created_at", sort_order="desc", response_format="array") == names[::-1]
    for field in _FIELDS:
        wanted: Any = {"metadata": {"mark": mark}, "sort_by": "created_at", "sort_order": "asc", "select": [field]}
        assert await client.assistants.search(**wanted) == [{field: one[field]} for one in made]  # type: ignore[literal-required]
    first = await client.assistants.search(metadata={"mark": mark}, limit=2, response_format="object")
    assert ([one["name"] for one in first["assistants"]], first["next"]) == (names[:0:-1], "2")
    last = await client.assistants.search(metadata={"mark": mark}, limit=2, offset=2, response_format="object")
    assert ([one["assistant_id"] for one in last["assistants"]], last["next"]) == ([made[0]["assistant_id"]], None)
    assert await client.assistants.count(metadata={"mark": mark}) == 3
    assert await client.assistants.count(metadata={"mark": mark}, name="birnen") == 2
    assert await client.assistants.count(metadata={"mark": mark}, graph_id="other") == 0


async def test_deleting_takes_the_versions_along_and_the_threads_when_asked(client: LangGraphClient) -> None:
    id_ = (await client.assistants.create(AGENT))["assistant_id"]
    other = (await client.assistants.create(AGENT))["assistant_id"]
    mine = await client.threads.create(metadata={"assistant_id": id_})
    theirs = await client.threads.create(metadata={"assistant_id": other})
    await client.assistants.delete(id_, delete_threads=True)
    await refused(client.assistants.get(id_), 404)
    await refused(client.threads.get(mine["thread_id"]), 404)
    await client.assistants.delete(other)
    assert (await client.threads.get(theirs["thread_id"]))["metadata"] == {"assistant_id": other}


async def test_what_is_no_assistant_is_refused_with_the_mend(client: LangGraphClient) -> None:
    assistants = client.assistants
    assert " not found" in await refused(assistants.get(NOBODY), 404)
    assert " not found" in await refused(assistants.update(NOBODY, name="x"), 404)
    assert " not found" in await refused(assistants.delete(NOBODY), 404)
    assert " not found" in await refused(assistants.get_versions(NOBODY), 404)
    assert " not found" in await refused(assistants.set_latest(NOBODY, 1), 404)
    assert 'assistant id "no-uuid" is no UUID' in await refused(assistants.get("no-uuid"), 422)
    assert "is no UUID" in await refused(assistants.create(AGENT, assistant_id="no-uuid"), 422)
    assert "graph 'nope' not found" in await refused(assistants.create("nope"), 404)
    assert "graph 'nope' not found" in await refused(assistants.update(AGENT, graph_id="nope"), 404)
    assert "graph_id" in await refused(assistants.create(None), 422)
    assert "holds a NUL" in await refused(assistants.create(AGENT, metadata={"a": "\x00"}), 400)
    both: Config = {"configurable": {"a": 1}}
    assert "they differ" in await refused(assistants.create(AGENT, both, context={"b": 1}), 400)
    for wanted in (
        {"sort_by": "size"},
        {"sort_order": "up"},
        {"select": ["size"]},
        {"limit": 0},
        {"limit": 1_001},
        {"offset": -1},
    ):
        assert next(iter(wanted)) in await refused(assistants.search(**wanted), 422)


def test_the_sync_client_gets_the_same(sync_client: SyncLangGraphClient) -> None:
    made = sync_client.assistants.create(AGENT, name="in step")
    assert sync_client.assistants.get(made["assistant_id"]) == made
    sync_client.assistants.delete(made["assistant_id"])
    assert sync_client.assistants.search(name="in step") == []


@pytest.mark.parametrize("graph_id", ["chat", "factory", "nested", "slow", "trireme"])
async def test_a_graph_is_described(client: LangGraphClient, graph_id: str) -> None:
    schemas = await client.assistants.get_schemas(graph_id)
    assert set(schemas) == {
        "graph_id", "input_schema", "output_schema", "state_schema", "config_schema", "context_schema",
    }  # fmt: skip
    assert schemas["graph_id"] == graph_id
    assert schemas["input_schema"] is not None
    assert schemas["state_schema"] is not None
    drawn = await client.assistants.get_graph(graph_id, xray=True)
    names = {node["id"] for node in drawn["nodes"]}
    assert {edge["source"] for edge in drawn["edges"]} | {edge["target"] for edge in drawn["edges"]} <= names


async def test_xray_and_subgraphs_go_as_deep_as_asked(client: LangGraphClient) -> None:
    async def drawn(xray: bool | int) -> set[str]:
        return {node["id"] for node in (await client.assistants.get_graph("nested", xray=xray))["nodes"]}

    assert "middle" in await drawn(False)
    assert {"middle:sink", "middle:deep"} <= await drawn(1)
    assert {"middle:sink", "middle:deep:dive"} <= await drawn(True)
    assert "xray" in await refused(client.assistants.get_graph("nested", xray=-1), 422)
    subgraphs = client.assistants.get_subgraphs
    assert set(await subgraphs("nested")) == {"middle"}
    assert set(await subgraphs("nested", recurse=True)) == {"middle", "middle|deep"}
    assert set(await subgraphs("nested", namespace="middle|deep", recurse=True)) == {"middle|deep"}
    assert await subgraphs("nested", namespace="nowhere") == {}
    assert (await client.assistants.get_schemas("chat"))["context_schema"]["properties"]["captain"]  # type: ignore[index]
    assert "the charts are not aboard" in await refused(client.assistants.get_graph("broken"), 422)
