"""A graph for one use: the compiled one, or what the user's factory makes of a config and the server's runtime."""

import asyncio
import inspect
import typing
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, suppress
from dataclasses import fields, is_dataclass, replace
from types import SimpleNamespace
from typing import Any, Final, Literal, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph_sdk.runtime import ServerRuntime, _ExecutionRuntime, _ReadRuntime
from pydantic import BaseModel

from serving.hosting.errors import GraphFailed
from serving.hosting.load import told_of

Graph: TypeAlias = Pregel[Any, Any, Any, Any]
Access: TypeAlias = Literal["threads.create_run", "threads.update", "threads.read", "assistants.read"]
_RUNTIMES = (ServerRuntime, _ExecutionRuntime, _ReadRuntime)
_NAMED: Final = {"RunnableConfig": RunnableConfig, "ServerRuntime": ServerRuntime}


def runtime_for(access: Access, store: Any, context: Any = None, user: Any = None) -> Any:
    """A `ServerRuntime`: why the graph is asked for, for whom, and for a run its context."""
    if access == "threads.create_run":
        return _ExecutionRuntime(access_context=access, store=store, context=context, user=user)
    return _ReadRuntime(access_context=access, store=store, user=user)


def context_of(graph: Graph, given: Any, configurable: Mapping[str, Any]) -> Any:
    """What a run says of its context; older clients say it in `configurable`. None where nothing is said and the
    graph's own type needs more than that."""
    schema = graph.context_schema
    if given or schema is None:
        return _known(schema, given)
    named = {name: configurable[name] for name in typing.get_type_hints(schema) if name in configurable}
    if named or not (is_dataclass(schema) or issubclass(schema, BaseModel)):
        return named
    try:
        return schema()
    except (TypeError, ValueError):
        return None


def _known(schema: Any, given: Any) -> Any:
    """A dataclass refuses what it has no field for, which one client of many graphs can't know; one with an `__init__`
    of its own takes what it likes."""
    made = getattr(schema, "__dataclass_params__", None)
    if not (isinstance(given, dict) and made and made.init):
        return given
    return {field.name: given[field.name] for field in fields(schema) if field.init and field.name in given}


def compiled(found: Any, where: str) -> Graph | Callable[..., Any]:
    """A builder is compiled once; a factory stays one. Raises GraphFailed for what is neither."""
    graph: Graph | Callable[..., Any] = found.compile() if isinstance(found, StateGraph) else found
    if isinstance(graph, Pregel) or callable(graph):
        return graph
    raise GraphFailed(
        f"{where} is a {type(found).__name__}, not a graph",
        "name a StateGraph, a compiled graph, an @entrypoint, or a function that returns one",
    )


@asynccontextmanager
async def opened(source: Graph | Callable[..., Any], where: str, config: Any, runtime: Any) -> AsyncIterator[Graph]:
    """For as long as the block lasts. Raises GraphFailed for what the factory raises; what the block raises stays."""
    if isinstance(source, Pregel):
        yield source
        return
    try:
        made = await asyncio.to_thread(lambda: source(**_arguments(source, where, config, runtime)))
        if inspect.isawaitable(made):
            made = await made
    except GraphFailed:
        raise
    except Exception as error:
        raise told_of(error, where) from error
    if isinstance(made, AbstractAsyncContextManager):
        async with made as graph:
            yield _graph(graph, where)
    elif isinstance(made, AbstractContextManager):
        with made as graph:
            yield _graph(graph, where)
    else:
        yield _graph(made, where)


def _graph(made: Any, where: str) -> Graph:
    graph = compiled(made, f"what {where} returns")
    if not isinstance(graph, Pregel):
        raise GraphFailed(f"{where} returns a function, not a graph", "return the graph itself")
    return graph


def _arguments(factory: Callable[..., Any], where: str, config: Any, runtime: Any) -> Mapping[str, Any]:
    """By annotation, then by name; a parameter that says neither is the config, as it was before runtimes."""
    hints = _hints(factory)
    given: dict[str, Any] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        hint = hints.get(name, inspect.Parameter.empty)
        if (typing.get_origin(hint) or hint) in _RUNTIMES or (hint is inspect.Parameter.empty and name == "runtime"):
            given[name] = _typed(runtime, hint)
        elif hint is RunnableConfig or name == "config" or _must_be_given(parameter):
            given[name] = config
    if len(given) > len({id(value) for value in given.values()}):
        raise GraphFailed(
            f"{where} takes {', '.join(given)}", "a factory takes a config, a ServerRuntime, both or none"
        )
    return given


def _typed(runtime: Any, hint: Any) -> Any:
    """With the context as the type that `ServerRuntime[...]` names."""
    schema = next(iter(typing.get_args(hint)), None)
    context = getattr(runtime, "context", None)
    if (
        isinstance(context, dict)
        and isinstance(schema, type)
        and (is_dataclass(schema) or issubclass(schema, BaseModel))
    ):
        return replace(runtime, context=schema(**_known(schema, context)))
    return runtime


def _must_be_given(parameter: inspect.Parameter) -> bool:
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in several


def _hints(factory: Callable[..., Any]) -> Mapping[str, Any]:
    """Each by itself: some may be names that are imported for type checkers alone, and so may be ours."""
    plain = inspect.unwrap(factory)
    found: dict[str, Any] = {}
    names = {**_NAMED, **getattr(plain, "__globals__", {})}
    for name, said in getattr(plain, "__annotations__", {}).items():
        with suppress(NameError, TypeError, AttributeError, SyntaxError):
            found |= typing.get_type_hints(SimpleNamespace(__annotations__={name: said}), names)
    return found
