"""A graph is found by module or file, whatever form it has; one that can't be had is named, and the others serve."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import graph
import serving
from serving.hosting.config import GraphEntry, Hosting, read_hosting
from serving.hosting.errors import GraphFailed, UnknownGraph
from serving.hosting.graphs import Graphs
from tests.conftest import forgotten

SDK = Path(__file__).parents[1] / "sdk" / "langgraph.json"
MADE = """
    from contextlib import asynccontextmanager, contextmanager
    from langchain_core.runnables import RunnableConfig
    from langgraph.func import entrypoint
    from langgraph.graph import START, StateGraph
    from langgraph_sdk.runtime import ServerRuntime
    from typing_extensions import TypedDict

    class State(TypedDict, total=False):
        said: str

    def make(said: str):
        return StateGraph(State).add_node("say", lambda state: {"said": said}).add_edge(START, "say")

    builder = make("builder")
    compiled = make("compiled").compile()

    @entrypoint()
    def functional(state):
        return {"said": "functional"}

    def factory():
        return make("factory")

    async def async_factory():
        return make("async").compile()

    @asynccontextmanager
    async def manager():
        closed.clear()
        yield make("manager")
        closed.append("manager")

    @contextmanager
    def plain_manager():
        yield make("plain manager")

    closed = []

    def configured(config: RunnableConfig):
        return make(config["configurable"]["name"])

    def unannotated(anything):
        return make(anything["configurable"]["name"])

    def timed(runtime: ServerRuntime):
        return make(runtime.access_context)

    async def both(runtime: "ServerRuntime[State]", config: RunnableConfig, more: int = 1):
        context = runtime.execution_runtime and runtime.execution_runtime.context
        return make(f"{config['configurable']['name']} {context}")

    async def for_checkers(config: "RunnableConfig", runtime: "ServerRuntime[Unseen]") -> "Unseen":
        return make(f"{config['configurable']['name']} {runtime.access_context}")

    def greedy(config: RunnableConfig, other):
        return builder

    def wrong():
        return 42

    def failing():
        raise ValueError("no anchor")

    number = 42
"""
CONFIG = {"configurable": {"name": "Argo"}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A place for modules that are forgotten with the test."""
    with forgotten(tmp_path):
        yield tmp_path


def hosted(folder: Path, **graphs: str) -> Graphs:
    entries = {id_: GraphEntry(path=path) for id_, path in graphs.items()}
    return Graphs(Hosting(folder=folder, graphs=entries))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


async def said(graphs: Graphs, graph_id: str, **options: Any) -> Any:
    async with graphs.opened(graph_id, "threads.create_run", CONFIG, **options) as graph:
        return (await graph.ainvoke({}))["said"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("builder", "builder"),
        ("compiled", "compiled"),
        ("functional", "functional"),
        ("factory", "factory"),
        ("async_factory", "async"),
        ("manager", "manager"),
        ("plain_manager", "plain manager"),
        ("configured", "Argo"),
        ("unannotated", "Argo"),
        ("timed", "threads.create_run"),
        ("both", "Argo deep"),
        ("for_checkers", "Argo threads.create_run"),
    ],
)
async def test_a_graph_may_have_any_form(folder: Path, name: str, expected: str) -> None:
    write(folder / "made.py", MADE)
    assert await said(hosted(folder, it=f"./made.py:{name}"), "it", context="deep") == expected


async def test_a_context_manager_is_closed_behind_its_use(folder: Path) -> None:
    write(folder / "made.py", MADE)
    await said(hosted(folder, it="made:manager"), "it")
    assert sys.modules["made"].closed == ["manager"]


async def test_a_reader_gets_a_runtime_that_runs_nothing(folder: Path) -> None:
    write(folder / "made.py", MADE)
    async with hosted(folder, it="made:both").opened("it", "threads.read", CONFIG, context="deep") as graph:
        assert (await graph.ainvoke({}))["said"] == "Argo None"


async def test_a_file_and_the_module_it_is_are_one(folder: Path) -> None:
    write(folder / "src" / "crew" / "agent.py", "from .rules import builder as graph")
    write(folder / "src" / "crew" / "rules.py", MADE)
    graphs = hosted(folder, by_file="./src/crew/agent.py:graph", by_module="crew.agent:graph")
    assert await said(graphs, "by_file") == await said(graphs, "by_module") == "builder"
    assert [name for name in sys.modules if name.endswith("crew.agent")] == ["crew.agent"]


async def test_a_file_with_the_name_of_one_of_our_packages_is_still_the_users(folder: Path) -> None:
    write(folder / "graph.py", MADE)
    assert await said(hosted(folder, it="./graph.py:compiled"), "it") == "compiled"


async def test_packages_with_the_names_of_ours_are_the_users_to_their_own_code_alone(folder: Path) -> None:
    write(folder / "graph" / "made.py", MADE)
    write(folder / "memory" / "__init__.py", "from graph.made import compiled")
    write(folder / "memory" / "notes.py", "import graph.made as made\nfrom . import compiled\nclass Note(str): ...")
    write(
        folder / "on-deck" / "crew.py", "def graph():\n    import memory.notes\n    return memory.notes.made.functional"
    )
    names = {
        "path": "./memory/notes.py:compiled",
        "module": "memory.notes:compiled",
        "beside": "./on-deck/crew.py:graph",
    }
    graphs = hosted(folder, **names)
    assert [await said(graphs, name) for name in names] == ["compiled", "compiled", "functional"]
    assert sys.modules["hosted_memory.notes"].Note.__module__ == "hosted_memory.notes"
    for name in ("graph.made", "memory.notes"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    assert importlib.import_module("memory.rules").__file__ == str(Path(__file__).parents[2] / "memory" / "rules.py")


async def test_a_module_goes_before_a_folder_of_its_name_and_ours_may_lie_among_theirs(folder: Path) -> None:
    write(folder / "graph.py", MADE)
    write(folder / "graph" / "notes.py", "")
    write(folder / "user.py", "from graph import compiled")
    ours = folder / "vendor" / "serving" / "odd.py"
    write(ours, "import graph\nplace = graph.__file__")
    graphs = hosted(folder, it="user:compiled")
    assert await said(graphs, "it") == "compiled"
    serving.__path__.append(str(ours.parent))
    try:
        assert importlib.import_module("serving.odd").place == graph.__file__
    finally:
        serving.__path__.remove(str(ours.parent))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("./made.py:nothing", r"made.py has no nothing \(it has: .*builder"),
        ("./made.py:number", "number is a int, not a graph"),
        ("./nowhere.py:graph", "there is no file nowhere.py"),
        ("nowhere.at_all:graph", "ModuleNotFoundError: No module named 'nowhere'"),
        ("./agent.ts:graph", "agent.ts is no Python file"),
        ("./syntax.py:graph", r"SyntaxError: .*line 2 of syntax.py"),
        ("./exits.py:graph", "SystemExit: 3"),
        ("./made.py:wrong", "what graph it returns is a int, not a graph"),
        ("./made.py:failing", r"ValueError: no anchor \(line \d+ of made.py\)"),
        ("./made.py:greedy", "graph it takes config, other"),
    ],
)
async def test_what_is_no_graph_is_named_and_the_others_serve(folder: Path, path: str, expected: str) -> None:
    write(folder / "made.py", MADE)
    write(folder / "syntax.py", "\ndef:")
    write(folder / "exits.py", "raise SystemExit(3)")
    graphs = hosted(folder, it=path, other="made:compiled")
    for _ in range(2):
        with pytest.raises(GraphFailed, match=expected):
            await said(graphs, "it")
    assert await said(graphs, "other") == "compiled"


async def test_all_are_loaded_and_those_that_fail_are_named() -> None:
    graphs = Graphs(read_hosting(SDK))
    await graphs.load_all()
    assert list(graphs.failed) == ["broken"]
    assert "RuntimeError: the charts are not aboard (line 3 of broken.py)" in graphs.failed["broken"]
    assert graphs.ids == ("trireme", *json.loads(SDK.read_text())["graphs"])


async def test_the_agent_is_there_without_a_file() -> None:
    async with Graphs().opened("trireme", "assistants.read") as graph:
        assert {"plan", "work", "critic"} <= set(graph.nodes)


async def test_an_unknown_graph_is_told_with_those_that_are_known() -> None:
    with pytest.raises(UnknownGraph, match="graphs here: trireme"):
        Graphs().entry("nothing")
