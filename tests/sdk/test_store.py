"""`client.store`, method by method, against a real server with a vector index of the user's own."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.acceptance.conftest import Up
from tests.sdk.refusal import refused


@pytest.fixture
def root() -> str:
    """A namespace of the test's own."""
    return f"n{uuid4().hex[:12]}"


async def test_an_item_is_put_read_replaced_and_deleted(client: LangGraphClient, root: str) -> None:
    store = client.store
    await store.put_item([root, "users"], "u-1", {"name": "Despina", "nested": {"n": [1, None, "ü"]}})
    item = await store.get_item([root, "users"], "u-1")
    assert set(item) == {"namespace", "key", "value", "created_at", "updated_at"}
    assert (item["namespace"], item["key"]) == ([root, "users"], "u-1")
    assert item["value"] == {"name": "Despina", "nested": {"n": [1, None, "ü"]}}
    assert datetime.fromisoformat(str(item["created_at"])).utcoffset() is not None
    await store.put_item([root, "users"], "u-1", {"name": "Aris"})
    replaced = await store.get_item([root, "users"], "u-1")
    assert replaced["value"] == {"name": "Aris"}
    assert replaced["created_at"] == item["created_at"]
    assert replaced["updated_at"] > item["updated_at"]
    await store.delete_item([root, "users"], "u-1")
    nothing: Any = await store.get_item([root, "users"], "u-1")
    assert nothing is None
    await store.delete_item([root, "users"], "u-1")


async def test_search_filters_and_turns_pages(client: LangGraphClient, root: str) -> None:
    store = client.store
    for at in range(4):
        await store.put_item([root, f"g{at % 2}"], f"k{at}", {"n": at, "even": at % 2 == 0}, index=False)
    await store.put_item([f"{root}x"], "other", {"n": 9})

    async def found(prefix: list[str], **wanted: Any) -> list[str]:
        return [item["key"] for item in (await store.search_items(prefix, **wanted))["items"]]

    assert await found([root]) == ["k3", "k2", "k1", "k0"]
    assert await found([root, "g0"]) == ["k2", "k0"]
    assert await found([root], filter={"even": True}) == ["k2", "k0"]
    assert await found([root], filter={"n": {"$gte": 1, "$lt": 3}}) == ["k2", "k1"]
    assert await found([root], filter={"n": {"$ne": 0}}, limit=2) == ["k3", "k2"]
    assert await found([root], limit=2, offset=3) == ["k0"]
    (item,) = (await store.search_items([root], filter={"n": 1}))["items"]
    assert item["namespace"] == [root, "g1"]
    assert item["score"] is None


async def test_search_finds_by_meaning_what_is_indexed(client: LangGraphClient, root: str) -> None:
    store = client.store
    await store.put_item([root], "zoo", {"text": "zzzz zzz"})
    await store.put_item([root], "bee", {"text": "bbbb bbb"})
    await store.put_item([root], "hidden", {"text": "zzzz"}, index=False)
    await store.put_item([root], "elsewhere", {"title": "zzzz", "text": "aaaa"}, index=["title"])
    items = (await store.search_items([root], query="zzzzzzz", limit=2))["items"]
    assert {item["key"] for item in items} == {"zoo", "elsewhere"}
    scores = [item["score"] for item in items]
    assert all(score is not None and score > 0.99 for score in scores)
    everything = (await store.search_items([root], query="zzzz", limit=10))["items"]
    assert "hidden" not in {item["key"] for item in everything}


async def test_namespaces_are_listed(client: LangGraphClient, root: str) -> None:
    for path in (["a", "x"], ["a", "y", "z"], ["b", "x"]):
        await client.store.put_item([root, *path], "k", {"v": 1}, index=False)

    async def listed(**wanted: Any) -> list[list[str]]:
        return (await client.store.list_namespaces(**wanted))["namespaces"]

    assert await listed(prefix=[root]) == [[root, "a", "x"], [root, "a", "y", "z"], [root, "b", "x"]]
    assert await listed(prefix=[root], max_depth=2) == [[root, "a"], [root, "b"]]
    assert await listed(prefix=[root, "*", "x"]) == [[root, "a", "x"], [root, "b", "x"]]
    assert await listed(prefix=[root], suffix=["z"]) == [[root, "a", "y", "z"]]
    assert await listed(prefix=[root], limit=1, offset=1) == [[root, "a", "y", "z"]]
    assert [root] in [path[:1] for path in await listed(limit=1_000)]


async def test_an_item_with_a_time_to_live_is_gone_after_it(client: LangGraphClient, server: Up, root: str) -> None:
    await client.store.put_item([root], "k", {"v": 1}, index=False, ttl=5)
    await client.store.put_item([root], "stays", {"v": 1}, index=False)
    with psycopg.connect(server.home.dsn, autocommit=True) as connection:
        query = "select expires_at from store where prefix = %s and key = 'k'"
        first = connection.execute(query, (f"default.{root}",)).fetchone()
        await client.store.get_item([root], "k", refresh_ttl=False)
        assert connection.execute(query, (f"default.{root}",)).fetchone() == first
        await client.store.get_item([root], "k", refresh_ttl=True)
        later = connection.execute(query, (f"default.{root}",)).fetchone()
        assert first is not None
        assert later is not None
        assert later[0] > first[0]
        await client.store.search_items([root], refresh_ttl=False)
        assert connection.execute(query, (f"default.{root}",)).fetchone() == later
        await client.store.search_items([root], refresh_ttl=True)
        latest = connection.execute(query, (f"default.{root}",)).fetchone()
        assert latest is not None
        assert latest[0] > later[0]
        late = "update store set expires_at = now() - interval '1 second' where prefix = %s and key = 'k'"
        connection.execute(late, (f"default.{root}",))
    gone: Any = await client.store.get_item([root], "k")
    assert gone is None
    assert [item["key"] for item in (await client.store.search_items([root]))["items"]] == ["stays"]


async def test_a_graph_has_the_same_store(client: LangGraphClient, root: str) -> None:
    values: Any = await client.runs.wait(None, "notes", input={"shelf": root, "text": "land ahoy"})
    assert values == {"found": ["land ahoy"]}
    assert (await client.store.get_item([root], "heard"))["value"] == {"text": "land ahoy"}


async def test_what_is_no_item_is_refused_with_the_mend(client: LangGraphClient, root: str) -> None:
    put = client.http.put
    assert "is empty" in await refused(put("/store/items", json={"namespace": [], "key": "k", "value": {}}), 422)
    dotted = put("/store/items", json={"namespace": ["a.b"], "key": "k", "value": {}})
    assert "'a.b' is no label" in await refused(dotted, 422)
    assert "'' is no label" in await refused(client.store.put_item([root, ""], "k", {}), 422)
    assert "LangGraph's own" in await refused(client.store.put_item(["langgraph"], "k", {}), 422)
    assert "value" in await refused(put("/store/items", json={"namespace": [root], "key": "k", "value": 3}), 422)
    assert "key" in await refused(client.store.put_item([root], "", {}), 422)
    assert "ttl" in await refused(client.store.put_item([root], "k", {}, ttl=-1), 422)
    assert "holds a NUL" in await refused(client.store.put_item([root], "k", {"a": "\x00"}), 400)
    odd = client.store.search_items([root], filter={"a": {"$like": "x"}})
    assert "no operator '$like'" in await refused(odd, 422)
    assert "limit" in await refused(client.store.search_items([root], limit=0), 422)
    assert "max_depth" in await refused(client.store.list_namespaces(max_depth=0), 422)


def test_the_sync_client_gets_the_same(sync_client: SyncLangGraphClient, root: str) -> None:
    sync_client.store.put_item([root], "k", {"v": 1}, index=False)
    assert sync_client.store.get_item([root], "k")["value"] == {"v": 1}
    assert [item["key"] for item in sync_client.store.search_items([root])["items"]] == ["k"]
    sync_client.store.delete_item([root], "k")
    assert sync_client.store.list_namespaces(prefix=[root])["namespaces"] == []


async def test_a_field_that_is_named_twice_is_indexed_once(client: LangGraphClient, root: str) -> None:
    await client.store.put_item([root], "k", {"text": "a lighthouse"}, index=["text", "text"])
    found = await client.store.search_items([root], query="a lighthouse")
    assert [(item["key"], item["value"]) for item in found["items"]] == [("k", {"text": "a lighthouse"})]
