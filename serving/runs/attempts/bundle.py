"""The version bundle that a thread is pinned to: the graph, prompts, tools and routes that its run began with.

The claim pins it (serving/runs/queue.py); serving/runs/attempts/terms.py says what becomes of a run where another is
installed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version

import orjson

from graph.build import RunGraph
from graph.prompt import Prompts
from graph.tools.registry import Registry


@dataclass(frozen=True, slots=True)
class Bundle:
    """Content hashes: of the graph's shape, of each prompt and tool schema by name, and of the routes."""

    version: str
    graph: str
    prompts: Mapping[str, str]
    tools: Mapping[str, str]
    routes: str

    def json(self) -> str:
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS).decode()

    @property
    def digest(self) -> str:
        return _digest(self.json())


def bundle_of(graph: RunGraph, prompts: Prompts, registry: Registry, routes: str) -> Bundle:
    """`routes`: whatever tells the installation's models apart; only its hash is kept."""
    tools = {schema.name: _digest(schema.model_dump_json()) for schema in registry.schemas}
    return Bundle(version("trireme"), _shape(graph), prompts.digests(), tools, _digest(routes))


def differing(pinned: Bundle, mine: Bundle) -> str:
    """The parts that are others, for people; empty when none is."""
    parts = ["graph"] if pinned.graph != mine.graph else []
    for kind, theirs, ours in (("prompts", pinned.prompts, mine.prompts), ("tools", pinned.tools, mine.tools)):
        names = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
        parts += [f"{kind} ({', '.join(names)})"] if names else []
    return ", ".join([*parts, "routes"] if pinned.routes != mine.routes else parts)


def lost(pinned: Bundle, mine: Bundle) -> list[str]:
    """What can't be gone on with: another graph, and tools that are gone or take other arguments. More tools can."""
    tools = sorted(name for name, digest in pinned.tools.items() if mine.tools.get(name) != digest)
    graph = ["graph"] if pinned.graph != mine.graph else []
    return [*graph, f"tools ({', '.join(tools)})"] if tools else graph


def _shape(graph: RunGraph) -> str:
    """Of what a checkpoint names: nodes, the ways between them, and channels."""
    nodes = {name: sorted(node.ends or ()) for name, node in sorted(graph.nodes.items())}
    branches = sorted(
        [source, name, *sorted((branch.ends or {}).values())]
        for source, found in graph.branches.items()
        for name, branch in found.items()
    )
    return _digest(orjson.dumps([nodes, sorted(graph.edges), branches, sorted(graph.channels)]).decode())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
