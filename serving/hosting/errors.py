"""Errors of hosted graphs.

ServingError
├── GraphChanged    a thread can't go on: another version of its graph has lost the node that is next
├── GraphFailed     a graph of langgraph.json can't be had: its module fails, it isn't there, it isn't one
└── UnknownGraph    no graph has this id
"""

from serving.errors import ServingError


class GraphChanged(ServingError):
    code, status, exit_code = "graph_changed", 409, 2


class GraphFailed(ServingError):
    """Names the graph and what its own code said; the server and its other graphs are not touched."""

    code, status, exit_code = "graph_failed", 422, 2


class UnknownGraph(ServingError):
    code, status, exit_code = "graph_not_found", 404, 2
