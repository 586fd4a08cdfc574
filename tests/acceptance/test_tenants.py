"""Two tenants on one deployment: what one has, the other can't see, change, or learn of; names may be the same."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from memory.item import Owner
from privacy.redact import from_record
from serving.wiring import memory_store
from tests.acceptance.keyed import Keyed, serving
from tests.acceptance.test_http import MISSING, events_of, failed
from tests.conftest import fresh_database

COLLECTION = "handbook"
TEXT = {"acme": "The hub in Piraeus opens at seven.", "globex": "The hub in Piraeus opens at noon."}
_SDK_RUN = {"assistant_id": "trireme", "input": {"messages": [{"role": "user", "content": "Hello"}]}}
BODIES: dict[str, Any] = {
    "plan": {"plan": {"steps": [{"id": "s1", "goal": "g", "done_when": "d"}]}, "last_seq": 1},
    "approve": {"decision": "approve", "approval_id": "plan-1"},
    "{key}": {"decision": "did_not"},
    "runs": _SDK_RUN,
    "crons": {**_SDK_RUN, "schedule": "0 9 * * *"},
    "stream": _SDK_RUN,
    "wait": _SDK_RUN,
    "state": {"values": {"messages": []}},
    "latest": {"version": 1},
    "checkpoint": {"checkpoint": {"checkpoint_id": MISSING}},
}
REST = {"name": "x", "key": "0" * 64, "checkpoint_id": MISSING, "namespace": "x"}
MAIL = {"acme": "ada@acme.example.com", "globex": "gus@globex.example.com"}


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    client: httpx.Client
    run: dict[str, str]


@pytest.fixture(scope="module")
def keyed(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with fresh_database(template_database) as dsn, serving(dsn, tmp_path_factory.mktemp("tenants")) as stack:
        yield stack


@pytest.fixture(scope="module")
def tenants(keyed: Keyed) -> Iterator[tuple[Tenant, Tenant]]:
    """Each with documents in a collection of the same name, and a run over them that has ended."""
    acme, globex = keyed.client(keyed.key("acme")), keyed.client(keyed.key("globex"))
    with acme, globex:
        yield _settled("acme", acme), _settled("globex", globex)


def _settled(name: str, client: httpx.Client) -> Tenant:
    section = {"text": f"{TEXT[name]} Ask {MAIL[name]}."}
    document = {"path": "hub.md", "digest": "1", "sections": [section]}
    stored = client.put(f"/collections/{COLLECTION}/documents", json={"documents": [document]})
    assert stored.json() == {"changed": 1}
    goal = f"When does the hub open, and whom do I ask? I am {MAIL[name]}."
    run = client.post("/runs?wait=true", json={"goal": goal, "collection": COLLECTION}).json()
    assert run["status"] == "success", run
    return Tenant(name, client, run)


def test_the_same_collection_name_holds_each_tenants_own(tenants: tuple[Tenant, Tenant]) -> None:
    for tenant, other in (tenants, tenants[::-1]):
        assert TEXT[tenant.name].split()[-1] in tenant.run["answer"]
        assert TEXT[other.name].split()[-1] not in tenant.run["answer"]
        shown = tenant.client.get(f"/runs/{tenant.run['run_id']}").text
        assert MAIL[tenant.name] in shown
        assert MAIL[other.name] not in shown


def test_a_stream_gives_back_its_own_tenants_values(tenants: tuple[Tenant, Tenant]) -> None:
    for tenant, other in (tenants, tenants[::-1]):
        page = {"Origin": "http://localhost:3000"}
        stream = tenant.client.get(f"/runs/{tenant.run['run_id']}/events", headers=page)
        assert stream.headers["access-control-allow-origin"] == page["Origin"]
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["x-request-id"]
        assert MAIL[tenant.name] in stream.text
        assert MAIL[other.name] not in stream.text
        assert events_of(stream)[-1]["status"] == "success"


def test_a_threads_stream_is_its_own_tenants(tenants: tuple[Tenant, Tenant]) -> None:
    """Another one can listen to it as to any thread that may come to be, and never hears a thing."""
    for tenant, other in (tenants, tenants[::-1]):
        path, asked = f"/threads/{tenant.run['thread_id']}", {"channels": ["values", "lifecycle"], "since": 0}
        own = _heard(tenant.client, f"{path}/stream/events", asked)
        assert MAIL[tenant.name] in own
        assert '"completed"' in own
        assert not _heard(other.client, f"{path}/stream/events", asked, 1.5)
        with other.client.stream("POST", f"{path}/stream/events", json={**asked, "since": 1}) as guess:
            assert guess.status_code == 400, "where its runs stand is not told either"
        tree = {"id": 1, "method": "agent.getTree"}
        assert tenant.client.post(f"{path}/commands", json=tree).json()["type"] == "success"
        assert other.client.post(f"{path}/commands", json=tree).json()["error"] == "no_such_run"
        start = {"id": 2, "method": "run.start", "params": _SDK_RUN}
        assert other.client.post(f"{path}/commands", json=start).json()["type"] == "error"


def _heard(client: httpx.Client, path: str, asked: dict[str, Any], patience_s: float = 60.0) -> str:
    """To the end of a run, or until nothing comes for so long."""
    heard, patience = "", httpx.Timeout(60, read=patience_s)
    with suppress(httpx.ReadTimeout), client.stream("POST", path, json=asked, timeout=patience) as answer:
        for line in answer.iter_lines():
            heard += line
            if '"completed"' in line:
                break
    return heard


def test_what_another_tenant_has_can_not_be_told_from_what_nobody_has(tenants: tuple[Tenant, Tenant]) -> None:
    """Every operation that names a thing, read off the server's own descriptions, asked for the other tenant's."""
    acme, globex = tenants
    assistant = acme.client.post("/assistants", json={"graph_id": "trireme"}).json()["assistant_id"]
    cron = acme.client.post("/runs/crons", json=BODIES["crons"]).json()["cron_id"]
    theirs = {"run_id": acme.run["run_id"], "thread_id": acme.run["thread_id"]}
    theirs |= {"assistant_id": assistant, "agent_id": assistant, "cron_id": cron}
    nobodys = dict.fromkeys(theirs, MISSING)
    for ids in (theirs, nobodys):
        ids["response_id"] = f"resp_{ids['run_id'].replace('-', '')}"
    paths = globex.client.get("/openapi.json").json()["paths"]
    protocol = globex.client.get("/agent-protocol/openapi.json").json()["paths"]
    paths |= {f"/agent-protocol{path}": verbs for path, verbs in protocol.items()}
    named = [path for path in paths if any(f"{{{name}}}" in path for name in theirs)]
    asked = [(verb, path) for path in named for verb in paths[path]]
    assert len(asked) >= 45
    for verb, path in asked:
        sent = None if verb == "get" else BODIES.get(path.rpartition("/")[2], {})
        found, missed = (
            globex.client.request(verb, path.format_map({**REST, **ids}), json=sent) for ids in (theirs, nobodys)
        )
        assert found.status_code >= 400, (verb, path, found.text)
        assert (found.status_code, _said(found, theirs)) == (missed.status_code, _said(missed, nobodys)), (verb, path)
        if path.startswith("/runs/{run_id}") or verb == "get":
            assert found.status_code == 404, (verb, path, found.text)
    assert acme.client.get(f"/runs/{acme.run['run_id']}").json()["status"] == "success"
    assert acme.client.get(f"/threads/{acme.run['thread_id']}").status_code == 200
    assert acme.client.get(f"/assistants/{assistant}").status_code == 200
    assert acme.client.get(f"/runs/crons/{cron}").json()["enabled"]
    assert [tenant.client.post("/runs/crons/count", json={}).json() for tenant in tenants] == [1, 0]


def _said(answer: httpx.Response, ids: dict[str, str]) -> str:
    said = answer.text.partition('"request_id"')[0]
    for id_ in ids.values():
        said = said.replace(id_, "ID")
    return said


def test_lists_show_ones_own(tenants: tuple[Tenant, Tenant]) -> None:
    acme, globex = tenants
    assert acme.run["run_id"] in acme.client.get("/runs").text
    for route in ("/runs", "/effects", "/memory"):
        answer = globex.client.get(route)
        assert answer.status_code == 200
        assert acme.run["run_id"] not in answer.text
        assert MAIL["acme"] not in answer.text


def test_a_thread_of_another_tenant_can_not_be_continued(keyed: Keyed, tenants: tuple[Tenant, Tenant]) -> None:
    acme, globex = tenants
    thread_id = acme.run["thread_id"]
    failed(globex.client.post("/runs", json={"goal": "And?", "thread_id": thread_id}), 404, "thread_not_found")
    assert acme.client.post("/runs?wait=true", json={"goal": "And?", "thread_id": thread_id}).status_code == 200
    row = "insert into runs (run_id, thread_id, tenant, request, request_digest) values (%s, %s, 'globex', '{}', '')"
    with psycopg.connect(keyed.dsn) as connection, pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute(row, (MISSING, thread_id))


@pytest.mark.parametrize(
    ("path", "id_", "body"),
    [
        ("/threads", "thread_id", {"metadata": {"user": "u-1"}}),
        ("/assistants", "assistant_id", {"graph_id": "trireme", "name": "mine"}),
    ],
)
def test_an_idempotency_key_makes_a_thing_once(
    tenants: tuple[Tenant, Tenant], path: str, id_: str, body: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": f"key of {path}".replace(" ", "-")}
    acme, globex = (tenant.client for tenant in tenants)
    with ThreadPoolExecutor(4) as threads:
        made = {
            answer.json()[id_]
            for answer in threads.map(lambda _: acme.post(path, json=body, headers=headers), range(4))
        }
    assert len(made) == 1
    assert globex.post(path, json=body, headers=headers).json()[id_] not in made
    other = acme.post(path, json={**body, "metadata": {"user": "u-2"}}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
    refused = acme.post(path, json=body, headers={"Idempotency-Key": "x" * 256})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


def test_an_idempotency_key_makes_a_run_of_a_graph_once(tenants: tuple[Tenant, Tenant]) -> None:
    acme, _ = (tenant.client for tenant in tenants)
    thread_id = acme.post("/threads", json={}).json()["thread_id"]
    route, headers = f"/threads/{thread_id}/runs", {"Idempotency-Key": "a-run"}
    new = {"assistant_id": "trireme", "input": {"messages": [{"role": "user", "content": "Hello"}]}}
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: acme.post(route, json=new, headers=headers), range(4)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert len(acme.get(route).json()) == 1
    other = acme.post(route, json={**new, "metadata": {"x": 1}}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")


def test_a_creation_that_was_refused_leaves_its_idempotency_key_free(tenants: tuple[Tenant, Tenant]) -> None:
    acme, _ = (tenant.client for tenant in tenants)
    taken = {"thread_id": acme.post("/threads", json={}).json()["thread_id"]}
    headers = {"Idempotency-Key": "refused"}
    for _ in range(2):
        assert acme.post("/threads", json=taken, headers=headers).status_code == 409
    assert acme.post("/threads", json={}, headers=headers).status_code == 200


def test_an_idempotency_key_is_each_tenants_own(tenants: tuple[Tenant, Tenant]) -> None:
    made = [
        tenant.client.post("/runs", json={"goal": f"I am {tenant.name}"}, headers={"Idempotency-Key": "one"}).json()
        for tenant in tenants
    ]
    assert made[0]["run_id"] != made[1]["run_id"]
    assert [run["goal"] for run in made] == ["I am acme", "I am globex"]


def test_a_placeholder_of_another_tenants_vault_is_only_text(keyed: Keyed, tenants: tuple[Tenant, Tenant]) -> None:
    _, globex = tenants
    with psycopg.connect(keyed.dsn) as connection:
        query = "select placeholder from vault where tenant = 'acme' and scope = ''"
        theirs = [row[0] for row in connection.execute(query)]
    assert theirs
    run = globex.client.post("/runs?wait=true", json={"goal": f"Who is {' '.join(theirs)}?"}).json()
    shown = globex.client.get(f"/runs/{run['run_id']}/events").text + orjson.dumps(run).decode()
    assert MAIL["acme"] not in shown


async def test_memory_is_read_and_deleted_by_its_own_tenant_alone(keyed: Keyed, tenants: tuple[Tenant, Tenant]) -> None:
    acme, globex = tenants
    memory = memory_store(keyed.dsn, keyed.home.path)
    item = await memory.of(Owner("acme")).add(from_record("Prefers short answers."), "a test")
    await memory.close()
    assert item.id in acme.client.get("/memory").text
    assert item.id not in globex.client.get("/memory").text
    failed(globex.client.delete(f"/memory/{item.id}"), 404, "memory_not_found")
    assert globex.client.delete("/memory").status_code == 204
    assert item.id in acme.client.get("/memory").text
    assert acme.client.delete(f"/memory/{item.id}").status_code == 204


def test_every_table_says_whose_its_rows_are(keyed: Keyed) -> None:
    """By a column, or by the row that it belongs to; what is left is the deployment's own."""
    of_the_deployment = {"schema_migrations", "deployment", "prompt_texts", "model_totals", "run_totals"}
    query = """
        with recursive owned as (
            select attrelid as table_id from pg_attribute join pg_class on attrelid = pg_class.oid
            where attname = 'tenant' and relkind = 'r' and relnamespace = 'public'::regnamespace
            union select conrelid from pg_constraint join owned on confrelid = table_id where contype = 'f'
        )
        select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
            and oid not in (select table_id from owned)"""
    with psycopg.connect(keyed.dsn) as connection:
        nobodys = {row[0] for row in connection.execute(query)}
    # Of others' making: a memory's tenant is in mem0's payload, an item's is the first part of LangGraph's prefix.
    others = {"memories", "store", "store_vectors"}
    assert nobodys - others <= of_the_deployment


def test_an_item_of_the_store_is_its_own_tenants(tenants: tuple[Tenant, Tenant]) -> None:
    acme, globex = (tenant.client for tenant in tenants)
    item = {"namespace": ["people", "ada"], "key": "likes", "value": {"text": "tea"}}
    assert acme.put("/store/items", json=item).status_code < 300
    place = {"namespace": "people.ada", "key": "likes"}
    assert acme.get("/store/items", params=place).json()["value"] == {"text": "tea"}
    assert "tea" not in globex.get("/store/items", params=place).text
    assert globex.post("/store/items/search", json={"namespace_prefix": []}).json()["items"] == []
    assert "people" not in globex.post("/store/namespaces", json={}).text
    globex.request("DELETE", "/store/items", json={"namespace": ["people", "ada"], "key": "likes"})
    assert acme.get("/store/items", params=place).json()["value"] == {"text": "tea"}
