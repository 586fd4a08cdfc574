"""`auth` of langgraph.json, as its users write it, on every way to what a server keeps."""

import asyncio
import json
import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from serving.hosting.config import AGENT
from tests.acceptance.conftest import Up, running
from tests.conftest import fresh_database
from tests.sdk.refusal import refused

CONFIG = Path(__file__).parent / "secured" / "langgraph.json"
KEY = "trm_of_the_operator"
GET, POST, PATCH, DELETE, PUT = "GET", "POST", "PATCH", "DELETE", "PUT"


@pytest.fixture(scope="module")
def secured(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    settings = {"TRIREME_CONFIG": str(CONFIG), "TRIREME_API_KEY": KEY}
    path = tmp_path_factory.mktemp("secured")
    with fresh_database(template_database) as dsn, running(path, DATABASE_URL=dsn, **settings) as up:
        yield up


@pytest.fixture
async def alice(secured: Up) -> AsyncIterator[LangGraphClient]:
    async with _of(secured, "alice") as client:
        yield client


@pytest.fixture
async def bob(secured: Up) -> AsyncIterator[LangGraphClient]:
    async with _of(secured, "bob") as client:
        yield client


def _of(up: Up, name: str) -> LangGraphClient:
    return get_client(url=up.url, api_key=None, headers={"Authorization": f"Bearer {name}"})


def _asks(up: Up, name: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=up.url, headers={"Authorization": f"Bearer {name}"}, timeout=60)


async def test_nobody_comes_in_whom_authenticate_does_not_know(secured: Up) -> None:
    async with httpx.AsyncClient(base_url=secured.url) as nobody:
        assert (await nobody.get("/ok")).status_code == (await nobody.get("/info")).status_code == 200
        for path in ("/threads/search", "/runs/wait", "/metrics", "/docs", "/openapi.json", "/ropes/1"):
            answer = await nobody.request(POST if path.startswith(("/threads", "/runs")) else GET, path)
            assert (answer.status_code, answer.json()["message"]) == (401, "say who you are"), path
            assert answer.headers["X-Asked"] in (GET, POST)
        studio = {"x-auth-scheme": "langsmith"}  # a server that has a key of its own is open to nobody
        assert (await nobody.post("/threads", json={}, headers=studio)).status_code == 401
    for name, said in (("nobody", "returned a NoneType"), ("breaks", "failed with RuntimeError")):
        async with _asks(secured, name) as client:
            answer = await client.get("/threads/x")
            assert (answer.status_code, answer.json()["code"]) == (500, "auth_failed")
            assert said in answer.json()["message"]
            assert "wet" not in answer.text


async def test_a_graph_knows_whom_it_works_for_and_nobody_else_is_told(secured: Up, alice: LangGraphClient) -> None:
    forged: Any = {"configurable": {"langgraph_auth_user": {"identity": "bob"}, "langgraph_auth_user_id": "bob"}}
    thread = (await alice.threads.create())["thread_id"]
    async with _asks(secured, "alice") as client:
        spoofing = {"langgraph_auth_user_id": "bob"}
        body = {"assistant_id": "known", "input": {}, "config": forged}
        seen = (await client.post(f"/threads/{thread}/runs/wait", json=body, headers=spoofing)).json()["seen"]
    assert seen.pop("berth") == "alice's own"
    assert (seen.pop("may"), seen.pop("forged")) == (["sail"], None)
    assert set(seen.values()) == {"alice"}
    (run,) = await alice.runs.list(thread)
    assert run["kwargs"]["config"]["recursion_limit"] == 60  # type: ignore[typeddict-item]
    assert run["multitask_strategy"] == "interrupt"
    assert "'s own" not in json.dumps(run)
    modes: Any = ["debug", "checkpoints"]
    parts = [part async for part in alice.runs.stream(thread, "known", input={}, stream_mode=modes)]
    told = [str(part.data) for part in parts if part.event in modes]
    assert told
    assert not [each for each in told if "'langgraph_auth_user':" in each]
    assert (await alice.threads.get(thread))["metadata"]["owner"] == "alice"  # type: ignore[index]
    assert (await alice.threads.get_state(thread))["values"]["seen"]["made_for"] == "alice"  # type: ignore[call-overload]


async def test_what_authenticate_returned_lies_sealed_while_its_run_goes_on_and_then_nowhere(
    secured: Up, alice: LangGraphClient
) -> None:
    """A worker that takes the run over can tell it to the graph all the same."""
    run = await alice.runs.create(None, "known", input={"said": "linger"})
    thread, join = run["thread_id"], asyncio.create_task(alice.runs.join(run["thread_id"], run["run_id"]))
    async with asyncio.timeout(60):
        while not (kept := _rows(secured, "select worker, caller, runs::text from runs where status = 'running'")):
            await asyncio.sleep(0.02)
    os.kill(int(kept[0][0].rsplit("-", 2)[1]), signal.SIGKILL)
    seen = (await join)["seen"]
    assert (seen["berth"], seen["may"], seen["made_for"]) == ("alice's own", ["sail"], "alice")
    assert (await alice.runs.get(thread, run["run_id"]))["status"] == "success"
    assert kept[0][1]
    assert not [row for row in [*kept, *_rows(secured, "select runs::text from runs")] if "'s own" in str(row)]
    assert _rows(secured, "select count(caller) from runs") == [(0,)]
    await alice.runs.create(thread, "known", input={}, after_seconds=60)
    assert _rows(secured, "select count(caller) from runs") == [(1,)]
    assert (await alice.http.post("/runs/cancel", json={"thread_id": thread})) is None
    assert _rows(secured, "select count(caller) from runs") == [(0,)]


async def test_of_two_people_who_think_of_one_id_at_once_one_has_it(
    secured: Up,
) -> None:
    async with _of(secured, "castor") as castor, _of(secured, "pollux") as pollux:
        both, asked = (castor, pollux), {"steps": 1}
        for _ in range(4):
            id_, new = str(uuid.uuid4()), str(uuid.uuid4())
            await _one_wins(one.threads.create(thread_id=id_, if_exists="do_nothing") for one in both * 2)
            await _one_wins(one.assistants.create("slow", assistant_id=id_, if_exists="do_nothing") for one in both * 2)
            await _one_wins(one.runs.wait(new, "slow", input=asked, if_not_exists="create") for one in both)


async def _one_wins(calls: Iterable[Any]) -> None:
    """Theirs in turn: all of one of them."""
    won = [not isinstance(each, Exception) for each in await asyncio.gather(*calls, return_exceptions=True)]
    assert won in ([True, False] * (len(won) // 2), [False, True] * (len(won) // 2))


async def test_another_persons_thread_is_not_there(secured: Up, alice: LangGraphClient, bob: LangGraphClient) -> None:
    thread = (await alice.threads.create(metadata={"n": 1}))["thread_id"]
    run = await alice.runs.create(thread, "slow", input={"steps": 200, "delay": 0.05})
    run_id, nowhere = run["run_id"], str(uuid.uuid4())
    asked, at = {"assistant_id": "slow", "input": {}}, f"/threads/{thread}"
    ways: list[tuple[str, str, Any]] = [
        *((GET, at, None), (PATCH, at, {"metadata": {"n": 2}}), (DELETE, at, None), (POST, f"{at}/copy", {})),
        *((GET, f"{at}/state", None), (POST, f"{at}/state", {"values": {"steps": 1}, "as_node": "step"})),
        *((PATCH, f"{at}/state", {"metadata": {}}), (GET, f"{at}/history", None), (POST, f"{at}/history", {})),
        *(
            (GET, f"{at}/state/x", None),
            (POST, f"{at}/state/checkpoint", {"checkpoint": {}}),
            (GET, f"{at}/runs", None),
        ),
        *((POST, f"{at}/runs{how}", asked) for how in ("", "/stream", "/wait")),
        (POST, f"{at}/runs", {**asked, "if_not_exists": "create", "multitask_strategy": "rollback"}),
        *((GET, f"{at}/runs/{run_id}{how}", None) for how in ("", "/join", "/stream")),
        *((POST, f"{at}/runs/{run_id}/cancel", {}), (DELETE, f"{at}/runs/{run_id}", None)),
        *((GET, f"{at}/stream", None), (POST, f"{at}/stream/events", {"channels": ["values"]})),
        *(
            (POST, f"{at}/commands", {"id": 1, "method": method, "params": asked})
            for method in ("run.start", "state.get")
        ),
        (POST, f"{at}/runs/crons", {**asked, "schedule": "0 0 1 1 *"}),
        (GET, f"/runs/{run_id}/stream", None),
        *((POST, "/threads/prune", {"thread_ids": [thread]}), (POST, "/runs/cancel", {"run_ids": [run_id]})),
        *((POST, "/runs/cancel", {"thread_id": thread}), (POST, "/runs/cancel", {"status": "all"})),
    ]
    async with _asks(secured, "bob") as client, asyncio.timeout(60):
        for method, path, body in ways:
            hidden = await client.request(method, path, json=body)
            assert hidden.status_code == 404, (method, path, hidden.text)
            if thread in path and method == GET:  # in the words for one that isn't there
                other = await client.get(path.replace(thread, nowhere))
                assert hidden.json()["message"] == other.json()["message"].replace(nowhere, thread), path
        made = await client.post("/threads", json={"thread_id": thread, "if_exists": "do_nothing"})
        assert made.status_code == 409
    with pytest.raises(InvalidStatus) as denied:
        await connect(f"{secured.url.replace('http', 'ws')}{at}/stream/events", additional_headers=_bearer("bob"))
    assert denied.value.response.status_code == 404
    assert await bob.threads.search(ids=[thread]) == [] == await bob.threads.search(metadata={"owner": "alice"})
    assert await bob.threads.count(metadata={"n": 1}) == 0
    assert [each["thread_id"] for each in await alice.threads.search(ids=[thread])] == [thread]
    assert await alice.threads.count(metadata={"n": 1}) == 1
    assert (await alice.runs.get(thread, run_id))["status"] in ("pending", "running")
    await alice.runs.cancel(thread, run_id, wait=True)
    assert (await alice.threads.get(thread))["metadata"]["n"] == 1  # type: ignore[index]


async def test_what_is_made_is_its_makers_and_what_is_shared_is_seen(secured: Up, alice: LangGraphClient) -> None:
    run = await alice.runs.create(None, "slow", input={"steps": 1}, metadata={"trip": 1})
    assert [part.event async for part in alice.runs.join_stream(run["thread_id"], run["run_id"], last_event_id="-1")]
    new, asked = str(uuid.uuid4()), {"steps": 1}
    await alice.runs.wait(new, "slow", input=asked, if_not_exists="create", metadata={"owner": "bob", "trip": 2})
    assert {"owner": "alice", "trip": 2}.items() <= (await alice.threads.get(new))["metadata"].items()  # type: ignore[union-attr]
    assert "not this one" in await refused(alice.runs.create(new, "slow", input={"forbidden": True}), 403)
    async with _of(secured, "harbourmaster") as master:
        await refused(master.threads.get(new), 404)
        await alice.threads.update(new, metadata={"crew": ["alice", "harbourmaster"]})
        assert (await master.threads.get(new))["metadata"]["owner"] == "alice"  # type: ignore[index]
        await refused(master.threads.update(new, metadata={}), 404)
        (run,) = await master.runs.list(new)
        async with _asks(secured, "harbourmaster") as client:
            join = f"/threads/{new}/runs/{run['run_id']}/join"
            statuses = [
                (await client.get(join, params={"cancel_on_disconnect": way})).status_code for way in ("0", "1")
            ]
        assert statuses == [200, 404]
    trips: Any = [{"assistant_id": "slow", "input": asked, "metadata": {"trip": 3}}] * 2
    batch = await alice.runs.create_batch(trips)
    assert await alice.threads.count(metadata={"trip": 3}) == len(batch)
    kept = {"Idempotency-Key": "once"}
    async with _asks(secured, "alice") as one, _asks(secured, "bob") as other:
        first, again, theirs = [
            (await client.post("/threads", json={}, headers=kept)).json()["thread_id"] for client in (one, one, other)
        ]
    assert first == again != theirs


async def test_assistants_and_crons_are_their_makers(secured: Up, alice: LangGraphClient, bob: LangGraphClient) -> None:
    assistant = (await alice.assistants.create("slow", config={"configurable": {"pin": 7}}))["assistant_id"]
    for call in (bob.assistants.get, bob.assistants.get_schemas, bob.assistants.get_graph, bob.assistants.delete):
        await refused(call(assistant), 404)
    await refused(bob.assistants.update(assistant, name="x"), 404)
    await refused(bob.assistants.get_versions(assistant), 404)
    await refused(bob.assistants.create("slow", assistant_id=assistant, if_exists="do_nothing"), 409)
    await refused(bob.runs.create(None, assistant, input={"steps": 1}), 404)
    await refused(alice.assistants.delete(assistant, delete_threads=True), 403)
    await refused(alice.assistants.create("trireme"), 403)
    await refused(alice.assistants.update(assistant, graph_id="trireme"), 403)
    assert await bob.assistants.search(graph_id="slow") == []
    assert [each["assistant_id"] for each in await alice.assistants.search(graph_id="slow")] == [assistant]
    assert "7" not in json.dumps(await alice.runs.wait(None, assistant, input={"steps": 1}, raise_error=False))
    cron: Any = await alice.crons.create(
        "known", schedule="* * * * * *", input={}, metadata={"watch": "dog"}, on_run_completed="keep"
    )
    for refuses in (bob.crons.get, bob.crons.delete, bob.crons.update) if hasattr(bob.crons, "get") else ():
        await refused(refuses(cron["cron_id"]), 404)
    assert "not this one" in await refused(alice.crons.update(cron["cron_id"], input={"forbidden": True}), 403)
    assert (cron["user_id"], await bob.crons.search(), await bob.crons.count()) == ("alice", [], 0)
    assert "'s own" not in json.dumps(cron)
    assert "user-agent" not in json.dumps(cron), "its runs come of nobody's request, and have none of its headers"
    async with asyncio.timeout(60):
        made: Any = None
        while not made:
            await asyncio.sleep(0.2)
            made = await alice.threads.search(metadata={"watch": "dog"}, status="idle")
    await alice.crons.delete(cron["cron_id"])
    seen = made[0]["values"]["seen"]
    assert (seen["made_for"], seen["may"], seen["berth"]) == ("alice", [], None)


async def test_the_store_is_kept_apart_by_namespaces(secured: Up, alice: LangGraphClient, bob: LangGraphClient) -> None:
    await alice.store.put_item(["charts"], "aegean", {"depth": 7})
    assert (await alice.store.get_item(["charts"], "aegean"))["namespace"] == ["alice", "charts"]
    assert await bob.store.get_item(["charts"], "aegean") is None
    assert (await bob.store.search_items([]))["items"] == (await bob.store.search_items(["charts"]))["items"] == []
    assert (await bob.store.list_namespaces())["namespaces"] == []
    assert (await alice.store.list_namespaces())["namespaces"] == [["alice", "charts"]]
    await bob.store.delete_item(["charts"], "aegean")
    assert len((await alice.store.search_items([]))["items"]) == 1
    async with _of(secured, "stowaway") as stowaway:
        assert "filter" in await refused(stowaway.store.search_items([]), 403)
    async with _of(secured, "*") as everybody:
        await refused(everybody.store.list_namespaces(), 403)
    async with _of(secured, "a.b") as dotted:  # whose namespace would be within another person's
        await refused(dotted.store.get_item(["charts"], "aegean"), 422)


async def test_a_thread_is_followed_and_told_what_to_do_by_its_owner_alone(secured: Up, bob: LangGraphClient) -> None:
    """Over a WebSocket, and of a thread that isn't there yet: who follows it has made it."""
    thread, url = str(uuid.uuid4()), secured.url.replace("http", "ws")
    where = f"{url}/threads/{thread}/stream/events"
    async with connect(where, additional_headers=_bearer("alice")) as socket, asyncio.timeout(60):

        async def say(method: str, **params: Any) -> dict[str, Any]:
            await socket.send(json.dumps({"id": 1, "method": method, "params": params}))
            while "id" not in (frame := json.loads(await socket.recv())):
                pass
            return dict(frame)

        await refused(bob.threads.get(thread), 404)
        await refused(bob.runs.create(thread, "slow", input={"steps": 1}, if_not_exists="create"), 404)
        assert (await say("subscription.subscribe", channels=["input"]))["type"] == "success"
        refusal = await say("run.start", assistant_id="slow", input={"forbidden": True})
        assert (refusal["error"], refusal["message"]) == ("permission_denied", "not this one")
        assert (await say("run.start", assistant_id="trireme", input={"goal": "x"}))["error"] == "permission_denied"
        begun = await say("run.start", assistant_id="asking", input={"said": ""})
        assert begun["type"] == "success", begun
        asked = json.loads(await socket.recv())["params"]["data"]
        answered = await say("input.respond", interrupt_id=asked["interrupt_id"], response="Ithaca")
        assert answered["type"] == "success"
    async with _of(secured, "alice") as alice:
        run_id = answered["result"]["run_id"]
        assert await alice.runs.join(thread, run_id) == {"said": "Ithaca"}


async def test_what_cannot_be_held_is_shut_and_the_operator_goes_everywhere(secured: Up) -> None:
    shut: list[tuple[str, str, Any]] = [
        *((GET, "/v1/models", None), (POST, "/v1/chat/completions", {"model": "slow", "messages": []})),
        *((POST, "/agent-protocol/threads", {}), (POST, "/agents/search", {}), (POST, "/runs", {"goal": "x"})),
        *((GET, path, None) for path in ("/runs", "/effects", "/memory", "/webhooks/deliveries", "/profiles")),
        *((GET, f"/runs/{uuid.uuid4()}{how}", None) for how in ("", "/events", "/audit", "/checkpoints")),
        (POST, "/runs/wait", {"assistant_id": "trireme", "input": {"goal": "x"}}),
    ]
    async with _asks(secured, "alice") as client:
        for method, path, body in shut:
            answer = await client.request(method, path, json=body)
            assert answer.status_code == 403, path
            assert "shut" in answer.text or "whole tenant" in answer.text, path
        mine = (await client.post("/threads", json={})).json()["thread_id"]
        for broken in (b"{", b"[]", b'{"metadata": 7}'):
            assert (await client.post("/threads", content=broken)).status_code == 422
        assert (await client.post("/runs/cancel", json={})).status_code == 422
        for method, path in ((POST, "/threads"), (PATCH, f"/threads/{mine}")):
            assert (await client.request(method, path, json={"metadata": {"graph_id": "trireme"}})).status_code == 403
        assert (await client.delete("/threads")).status_code == 405
        assert (await client.get("/nowhere")).status_code == 404
    for name, status, code in (("stowaway", 403, "forbidden"), ("muddled", 500, "auth_failed")):
        async with _asks(secured, name) as client:
            answer = await client.delete(f"/threads/{mine}")
            assert (answer.status_code, answer.json()["code"]) == (status, code)
    async with httpx.AsyncClient(base_url=secured.url, headers={"X-Api-Key": KEY}) as operator:
        for path in ("/v1/models", "/runs", "/metrics", f"/threads/{mine}"):
            assert (await operator.get(path)).status_code == 200, path


async def test_whoever_may_do_everything_has_nothing_of_the_operators_agent(secured: Up) -> None:
    async with (
        httpx.AsyncClient(base_url=secured.url, headers={"X-Api-Key": KEY}) as operator,
        _asks(secured, "admiral") as client,
    ):
        asked = {"goal": "What is an anchor?", "review_plan": True}
        run = (await operator.post("/runs", params={"wait": True}, json=asked)).json()
        daily = {"assistant_id": "trireme", "input": {"goal": "x"}, "schedule": "0 0 1 1 *"}
        cron = f"/runs/crons/{(await operator.post('/runs/crons', json=daily)).json()['cron_id']}"
        ways: list[tuple[str, str, Any]] = [
            *((GET, cron, None), (PATCH, cron, {"enabled": False}), (DELETE, cron, None)),
            *((POST, "/runs/cancel", {"run_ids": [run["run_id"]]}), (GET, f"/threads/{run['thread_id']}", None)),
            (POST, "/threads/prune", {"thread_ids": [run["thread_id"]]}),
        ]
        for method, path, body in ways:
            assert (await client.request(method, path, json=body)).status_code == 404, path
        plain = (await operator.post("/threads", json={"metadata": {"pier": 9}})).json()["thread_id"]
        for place in ("/threads", "/runs/crons", "/assistants"):  # of whom no filter holds back, all else is seen
            found, number = [
                (await client.post(f"{place}/{how}", json=asks)).json()
                for how, asks in (("search", {"limit": 1_000}), ("count", {}))
            ]
            assert (AGENT in json.dumps(found), len(found)) == (False, number), place
        (mine,) = (await client.post("/threads/search", json={"metadata": {"pier": 9}})).json()
        assert mine["thread_id"] == plain
        assert (await operator.delete(cron)).status_code == 204
        assert (await operator.get(f"/runs/{run['run_id']}")).json()["status"] == "interrupted"


async def test_a_page_from_elsewhere_cannot_use_the_cookies_of_a_browser(secured: Up) -> None:
    cookie, elsewhere = {"Cookie": "name=alice"}, {"Origin": "https://elsewhere.example.com"}
    async with httpx.AsyncClient(base_url=secured.url, headers=cookie) as browser:
        typed = {"Content-Type": "text/plain"}
        refusal = await browser.post("/threads", content=b"{}", headers=typed | elsewhere)
        assert (refusal.status_code, refusal.json()["code"]) == (403, "origin_not_allowed")
        own = await browser.post("/threads", content=b"{}", headers=typed | {"Origin": secured.url})
        assert (own.status_code, own.json()["metadata"]["owner"]) == (200, "alice")
    where = f"{secured.url.replace('http', 'ws')}/threads/{own.json()['thread_id']}/stream/events"
    with pytest.raises(InvalidStatus):
        await connect(where, additional_headers=cookie | elsewhere)


async def test_routes_beside_ours_know_who_asks_and_are_in_the_document(secured: Up) -> None:
    async with _asks(secured, "alice") as client:
        assert (await client.get("/ropes/3")).json() == {"whose": "alice"}
        document = (await client.get("/openapi.json")).json()
    answer = document["paths"]["/ropes/{number}"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/app.Run"}
    assert document["components"]["schemas"]["app.Run"]["properties"].keys() == {"whose"}
    assert "run_id" in document["components"]["schemas"]["Run"]["properties"]
    assert document["paths"]["/threads/{thread_id}"].keys() >= {"get", "patch", "delete"}


_OPEN_WEB = """
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

class Swaps:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        swapped = {"path": "/threads"} if scope.get("path") == "/swapped" else {}
        await self.app({**scope, **swapped}, receive, send)

async def login(request):
    return PlainTextResponse("user" if "user" in request.scope else "nobody yet")

app = Starlette(routes=[Route("/login", login, methods=["GET", "POST"])], middleware=[Middleware(Swaps)])
"""


def test_routes_beside_ours_ask_for_no_credentials_where_the_file_says_so(
    template_database: str, tmp_path: Path
) -> None:
    (tmp_path / "web.py").write_text(_OPEN_WEB)
    http = {"app": "./web.py:app", "enable_custom_route_auth": False, "middleware_order": "auth_first"}
    file = {"graphs": {}, "auth": {"path": f"{CONFIG.parent}/auth.py:auth"}, "http": http}
    (tmp_path / "langgraph.json").write_text(json.dumps(file))
    settings = {"TRIREME_CONFIG": str(tmp_path / "langgraph.json"), "TRIREME_API_KEY": KEY}
    with (
        fresh_database(template_database) as dsn,
        running(tmp_path, DATABASE_URL=dsn, **settings) as up,
        httpx.Client(base_url=up.url) as nobody,
    ):
        assert (nobody.get("/login").text, nobody.post("/login").text) == ("nobody yet", "nobody yet")
        assert nobody.get("/login", headers=_bearer("breaks")).text == "nobody yet"
        assert [nobody.post(path, json={}).status_code for path in ("/threads", "/threads/search")] == [401, 401]
        assert nobody.post("/swapped", json={}).json()["code"] == "shut_by_auth"


def _rows(up: Up, query: LiteralString) -> list[Any]:
    with psycopg.connect(up.home.dsn) as connection:
        return connection.execute(query).fetchall()


def _bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}
