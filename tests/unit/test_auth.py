"""What langgraph.json's `auth` says, and what it may not say; and that every way into the server is thought of."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langgraph_sdk import Auth
from starlette.requests import HTTPConnection

from serving.api import health
from serving.api.app import _PARTS
from serving.api.authorization.authorized import Authorization
from serving.api.authorization.doors import DOORS, OPEN
from serving.api.runs import services_for
from serving.auth.custom import CustomAuth, load_auth
from serving.auth.errors import AuthFailed, AuthRefused, AuthSlow
from serving.auth.filters import both, held_of
from serving.auth.user import User, in_graph, shown, user_of
from serving.errors import Forbidden, SettingsError
from serving.hosting.config import read_hosting
from serving.keys.identity import Identity

ALICE = User(identity="alice", permissions=["sail"], display_name="A", is_authenticated=True)
REQUEST = HTTPConnection(
    {"type": "http", "path": "/threads", "query_string": b"", "headers": [(b"authorization", b"Bearer x")]}
)


def test_every_route_of_the_sdk_has_a_door_and_every_door_is_a_route() -> None:
    """A new route is shut until somebody says here what it asks; nothing of the other vocabularies has a door."""
    routes = {("GET", getattr(route, "path", "")): health.__name__ for route in health.front.routes}
    for part in _PARTS:
        for route in part.router.routes:
            methods = getattr(route, "methods", None) or {"WEBSOCKET"}
            routes |= {(method, getattr(route, "path", "")): part.__name__ for method in methods}
    assert {place for place, part in routes.items() if ".sdk." in part or ".thread_streams." in part} <= DOORS.keys()
    elsewhere = {place for place in DOORS if not routes[place].startswith(("serving.api.sdk", "serving.api.thread_st"))}
    assert elsewhere == {("POST", "/runs")}
    assert routes.keys() >= OPEN


def test_a_path_that_is_changed_behind_the_doors_leads_nowhere() -> None:
    app = SimpleNamespace(state=SimpleNamespace(services=None))
    somebody = Identity("default", frozenset({"read"}), "user-1", ALICE)
    with pytest.raises(Forbidden, match="changed"):
        services_for(HTTPConnection({**REQUEST.scope, "app": app, "identity": somebody}))


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ({"owner": "a"}, {"owner": "a"}),
        ({"owner": {"$eq": "a"}, "n": 1}, {"owner": "a", "n": 1}),
        ({"crew": {"$contains": "a"}}, {"crew": ["a"]}),
        ({"crew": {"$contains": ["a", "b"]}}, {"crew": ["a", "b"]}),
        *(({"owner": wanted}, None) for wanted in (None, ["a"], {}, {"$ne": "a"}, {"a": "b"}, {"$eq": {"a": 1}})),
        ({"owner": {"$eq": "a", "$contains": "b"}}, None),
        ({1: "a"}, None),
    ],
)
def test_a_filter_is_what_metadata_must_hold(said: dict[Any, Any], held: dict[str, Any] | None) -> None:
    assert held_of(said) == held


@pytest.mark.parametrize(
    ("asked", "held", "wanted"),
    [
        ({}, {"owner": "a"}, {"owner": "a"}),
        ({"n": 1}, {"owner": "a"}, {"n": 1, "owner": "a"}),
        ({"owner": "a"}, {"owner": "a"}, {"owner": "a"}),
        ({"owner": "b"}, {"owner": "a"}, None),
        ({"n": True}, {"n": 1}, None),
        ({"crew": ["b"]}, {"crew": ["a"]}, {"crew": ["b", "a"]}),
        ({"crew": "a"}, {"crew": ["a"]}, None),
    ],
)
def test_a_search_finds_what_both_hold(asked: Any, held: Any, wanted: Any) -> None:
    assert both(asked, held) == wanted


def test_a_user_is_an_id_a_mapping_or_an_object() -> None:
    whole = {"identity": "a", "permissions": [], "display_name": "a", "is_authenticated": True}
    assert user_of("a") == user_of({"identity": "a"}) == user_of(SimpleNamespace(identity="a", _secret=1)) == whole
    user = user_of({"identity": "a", "token": "t"})
    assert user is not None
    assert (user.token, user["token"]) == ("t", "t")
    assert user.lasting == whole
    for nonsense in (None, 7, "", {}, {"identity": 7}, {"identity": "a", "key": object()}):
        assert user_of(nonsense) is None
    kept = {"configurable": {**user.configurable, "n": 1}}
    assert in_graph(kept["configurable"])["langgraph_auth_user"].identity == "a"
    assert shown(kept) == {"configurable": {"langgraph_auth_user_id": "a", "langgraph_auth_permissions": [], "n": 1}}


def _auth() -> Auth:
    auth = Auth()

    @auth.authenticate
    async def authenticate(authorization: str, path_params: dict[str, str], spare: int = 1) -> str:
        return f"{authorization} of {path_params['thread_id']}"

    return auth


async def test_the_nearest_handler_is_asked() -> None:
    auth = _auth()

    def handler(name: str) -> Any:
        async def said(ctx: Auth.types.AuthContext, value: Any) -> Any:
            assert (ctx.user.identity, ctx.permissions, ctx.resource) == ("alice", ["sail"], value)
            return {"by": name}

        return said

    auth.on(handler("all"))
    auth.on(actions="read")(handler("read"))
    auth.on.threads(handler("threads"))
    auth.on.threads.read(handler("threads.read"))
    custom = CustomAuth(auth, True)
    asked = [("threads", "read"), ("threads", "update"), ("crons", "read"), ("crons", "update")]
    said = [(await custom.held(ALICE, *place, place[0]))["by"] for place in asked]  # type: ignore[arg-type]
    assert said == ["threads.read", "threads", "read", "all"]
    assert await CustomAuth(_auth(), True).held(ALICE, "threads", "read", {}) == {}
    assert (await custom.user(REQUEST, {"thread_id": "t"}))["identity"] == "Bearer x of t"


async def test_code_that_says_no_fails_or_takes_too_long_lets_nobody_in() -> None:
    async def no(ctx: Any, value: Any) -> Any:
        return await value()

    def raising(error: Exception) -> Any:
        async def raises() -> None:
            raise error

        return raises

    async def returns(what: Any) -> Any:
        return what

    auth = _auth()
    auth.on(no)
    custom = CustomAuth(auth, True, patience_s=0.05)

    async def held(value: Any) -> Any:
        return await custom.held(ALICE, "threads", "read", value)

    with pytest.raises(Forbidden):
        await held(lambda: returns(False))
    with pytest.raises(Forbidden, match="not yours"):
        await held(raising(AssertionError("not yours")))
    with pytest.raises(AuthRefused) as caught:
        await held(raising(Auth.exceptions.HTTPException(status_code=404, detail="gone", headers={"X-A": "b"})))
    assert (caught.value.status, caught.value.message, caught.value.headers) == (404, "gone", {"X-A": "b"})
    with pytest.raises(AuthRefused) as caught:
        await held(raising(Auth.exceptions.HTTPException(status_code=200)))
    assert caught.value.status == 500
    for said in (7, "yes", {"owner": None}):
        with pytest.raises(AuthFailed, match="returned"):
            await held(lambda said=said: returns(said))
    with pytest.raises(AuthFailed, match="failed with ValueError"):
        await held(raising(ValueError("a secret")))
    with pytest.raises(AuthSlow, match="too long") as slow:
        await held(lambda: asyncio.sleep(5))
    assert (slow.value.code, slow.value.status) == ("auth_slow", 503)
    with pytest.raises(AuthFailed, match="failed with KeyError"):
        await custom.user(REQUEST, {})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("auth = 7", "names a int"),
        ("raise OSError('no such key')", "no such key"),
        ("auth = Auth()", "no authenticate handler"),
        ("auth = Auth()\n@auth.authenticate\ndef f(authorization): ...", "no async function"),
        ("auth = Auth()\n@auth.authenticate\nasync def f(body): ...", "asks for 'body'"),
    ],
)
def test_a_server_does_not_begin_with_what_cannot_protect_it(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "langgraph.json").write_text('{"graphs": {}, "auth": {"path": "./guards.py:auth"}}')
    (tmp_path / "guards.py").write_text(f"from langgraph_sdk import Auth\n{code}\n")
    with pytest.raises(SettingsError, match=said):
        load_auth(read_hosting(tmp_path / "langgraph.json"))


@pytest.mark.parametrize(("said", "opens"), [("", False), (', "disable_studio_auth": false', True)])
def test_studio_needs_no_credentials_only_where_the_file_says_so(tmp_path: Path, said: str, opens: bool) -> None:
    (tmp_path / "langgraph.json").write_text(f'{{"graphs": {{}}, "auth": {{"path": "./open.py:auth"{said}}}}}')
    (tmp_path / "open.py").write_text(
        "from langgraph_sdk import Auth\nauth = Auth()\n@auth.authenticate\nasync def f(): return 'a'\n"
    )
    custom = load_auth(read_hosting(tmp_path / "langgraph.json"))
    assert custom is not None
    studio = HTTPConnection({"type": "http", "path": "/", "headers": [(b"x-auth-scheme", b"langsmith")]})
    assert (Authorization(custom, []).is_studio(studio), Authorization(custom, []).is_studio(REQUEST)) == (opens, False)
