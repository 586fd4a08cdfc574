"""langgraph.json: what it says, and the one line that each mistake in it gets: file, field, mend."""

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import SettingsError
from serving.hosting.config import Hosting, read_hosting
from serving.webhooks.address import AddressRefused

GRAPHS = {"agent": "./agent.py:graph"}


def read(folder: Path, **content: Any) -> Hosting:
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"graphs": GRAPHS, **content}))
    return read_hosting(path)


def fault(folder: Path, **content: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        read(folder, **content)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return str(caught.value).replace(str(folder) + "/", "")


def test_a_graph_is_named_by_its_path_or_with_a_description(tmp_path: Path) -> None:
    hosting = read(tmp_path, graphs={"a": "pkg.mod:graph", "b": {"path": "./b.py:make", "description": "B"}})
    assert {id_: (entry.path, entry.description) for id_, entry in hosting.graphs.items()} == {
        "a": ("pkg.mod:graph", None),
        "b": ("./b.py:make", "B"),
    }


def test_what_has_no_effect_is_named_with_what_holds_instead(tmp_path: Path) -> None:
    hosting = read(
        tmp_path,
        graphs={"a": {"path": "./a.py:graph", "colour": "red"}, "b": "./b.py:graph"},
        python_version="3.11",
        dockerfile_lines=["RUN true"],
        nonsense=1,
        store={"ttl": {"default_ttl": 60, "sweep_interval_minutes": 5}},
        checkpointer={"serde": {"pickle_fallback": True}, "ttl": {"sweep_limit": 7}},
        http={"logging_headers": {"excludes": ["x-*"]}, "cors": {"max_age": 5, "allow_methods": ["*"]}},
        ui={"card": "./card.tsx"},
    )
    named = {line.partition(" ")[0]: line for line in hosting.unused}
    assert list(named) == [
        "graphs.a.colour", "python_version", "dockerfile_lines", "nonsense", "store.ttl.sweep_interval_minutes",
        "checkpointer.serde", "checkpointer.ttl.sweep_limit", "http.logging_headers", "http.cors.max_age", "ui",
    ]  # fmt: skip
    assert "for building images" in named["python_version"]
    assert "no field that is known here" in named["nonsense"]
    assert not any("\n" in line for line in hosting.unused)


def test_what_is_unset_or_so_anyway_is_not_named(tmp_path: Path) -> None:
    block = {"disable_mcp": True, "disable_store": False, "mount_prefix": "/", "enable_custom_route_auth": False}
    assert read(tmp_path, http=block, store=None, ui={}, pip_config_file="", env={"A": "b"}).unused == ()


def test_dependencies_with_their_src_come_before_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "lib" / "src").mkdir(parents=True)
    hosting = read(tmp_path, dependencies=["./lib", "langchain-openai"])
    assert hosting.roots == (tmp_path / "lib", tmp_path / "lib" / "src", tmp_path)


def test_env_is_a_mapping_or_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# ours\nHARBOUR='Piraeus'\nDEPTH=12\nEMPTY\n")
    assert read(tmp_path, env=".env").env == {"HARBOUR": "Piraeus", "DEPTH": "12"}
    assert read(tmp_path, env={"HARBOUR": "Kavala", "DEPTH": 12}).env == {"HARBOUR": "Kavala", "DEPTH": "12"}


def test_store_checkpointer_and_http_are_read(tmp_path: Path) -> None:
    hosting = read(
        tmp_path,
        store={"index": {"dims": 3, "embed": "./e.py:embed", "fields": ["text"]}, "ttl": {"default_ttl": 60}},
        checkpointer={"backend": "default", "ttl": {"strategy": "keep_latest", "default_ttl": 90}},
        http={"app": "./web.py:app", "cors": {"allow_origins": ["https://chat.example.com"]}},
    )
    assert hosting.store.index is not None
    assert (hosting.store.index.dims, hosting.store.index.fields) == (3, ("text",))
    assert hosting.checkpointer.ttl is not None
    assert (hosting.checkpointer.ttl.strategy, hosting.checkpointer.ttl.default_ttl) == ("keep_latest", 90)
    assert hosting.http.cors is not None
    assert hosting.http.cors.allow_origins == ("https://chat.example.com",)
    assert hosting.http.app == "./web.py:app"
    assert hosting.unused == ()


def test_webhooks_go_where_the_file_says_with_the_headers_that_it_says(tmp_path: Path) -> None:
    rules = {"require_https": True, "allowed_domains": ["*.example.com", "hooks.example.org"], "allowed_ports": [443]}
    headers = {"X-Key": "v1 ${{ env.LG_WEBHOOK_KEY }}/${{env.LG_WEBHOOK_END}}", "X-Plain": "p"}
    webhooks = read(tmp_path, webhooks={"url": {**rules, "max_url_length": 40}, "headers": headers}).webhooks
    for url in ("https://a.example.com/x", "https://hooks.example.org:443", "https://A.B.example.com./"):
        webhooks.url.check(url)
    for url, why in (
        ("http://a.example.com", "https"),
        ("https://example.com", "host"),
        ("https://badexample.com", "host"),
        ("https://hooks.example.org:8443", "port"),
        ("https://a.example.com/" + "x" * 30, "40 characters"),
    ):
        with pytest.raises(AddressRefused, match=why):
            webhooks.url.check(url)
    environ = {"LG_WEBHOOK_KEY": "secret", "LG_WEBHOOK_END": "z"}
    assert webhooks.filled(environ) == {"x-key": "v1 secret/z", "x-plain": "p"}
    with pytest.raises(SettingsError, match="X-Key needs LG_WEBHOOK_END"):
        webhooks.filled({"LG_WEBHOOK_KEY": "secret"})
    read(tmp_path, webhooks=None).webhooks.url.check("http://example.com")


def test_our_own_file_names_the_agent_that_is_there_anyway() -> None:
    hosting = read_hosting(Path(__file__).parents[2] / "langgraph.json")
    assert (hosting.graphs, hosting.http.app, hosting.unused) == ({}, None, ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"graphs": {"agent": "./agent.py"}}, "langgraph.json: graphs.agent.path: names no object"),
        ({"graphs": None}, "langgraph.json: graphs: Input should be a valid dictionary"),
        ({"graphs": {"trireme": "./agent.py:graph"}}, "graphs.trireme: the server's own agent has this id"),
        ({"dependencies": ["./nowhere"]}, "dependencies[0]: there is no folder ./nowhere"),
        ({"env": ".nothing"}, "env: there is no file .nothing"),
        ({"env": ["A"]}, "env: neither a file nor a mapping"),
        ({"store": {"index": {"embed": "x"}}}, "store.index.dims: missing"),
        (
            {"checkpointer": {"path": "./mine.py:saver"}},
            "checkpointer.path: checkpoints are kept in the server's Postgres",
        ),
        ({"checkpointer": {"backend": "mongo"}}, "checkpointer.backend: checkpoints are kept in the server's Postgres"),
        ({"store": {"path": "./mine.py:store"}}, "store.path: items are kept in the server's Postgres"),
        ({"http": {"mount_prefix": "api"}}, "http.mount_prefix: is no path"),
        ({"webhooks": {"headers": {"Host": "x"}}}, "webhooks: headers: 'Host' can't be sent along"),
        ({"webhooks": {"headers": {"X-Key": "${{ env.TOKEN }}"}}}, "webhooks: headers.X-Key: TOKEN may not be used"),
        ({"auth": {"disable_studio_auth": True}}, "auth.path: missing"),
        ({"auth": {"path": "auth.py"}}, "auth.path: names no object"),
        ({"encryption": {"path": "./e.py:e"}}, "encryption: custom encryption isn't run here"),
    ],
)
def test_a_mistake_is_told_with_file_and_field(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    assert said in fault(tmp_path, **content)


@pytest.mark.parametrize(
    ("text", "said"), [(b"{", "line 1: Expecting"), (b"[]", "no JSON object"), (b"\xff", "byte 0 is not UTF-8")]
)
def test_what_is_no_json_object_is_told(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "langgraph.json"
    path.write_bytes(text)
    with pytest.raises(SettingsError, match=said):
        read_hosting(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_hosting(tmp_path / "langgraph.json")
