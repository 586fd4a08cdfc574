"""Commands that look at a thread, or go on from an earlier state of it."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import orjson

from serving.api.sdk.framing import part_of
from serving.api.thread_streams.errors import Refused
from serving.api.thread_streams.framing import ENDS
from serving.api.thread_streams.start import start
from serving.database import Row, fetch_all
from serving.hosting.channels import EVENT
from serving.hosting.config import AGENT
from serving.services import ApiServices
from serving.threads.checkpoint import CheckpointRef

_SUBGRAPHS: LiteralString = """
select body::text from run_events
where run_id = %s and kind = 'stream_part' and body ->> 'event' like %s order by seq
"""
_STATUSES = {**ENDS, "cancelled": "interrupted", "interrupted": "interrupted"}
_PAGE = 10
_MOST = 1_000


async def get_tree(services: ApiServices, thread_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The newest run, or the one of `run_id`, and the subgraphs in it, as they stand."""
    row = await _run(services, thread_id, params.get("run_id"))
    lines = await fetch_all(services.pool, _SUBGRAPHS, (row["run_id"], f"{EVENT}lifecycle|%"))
    status = _STATUSES.get(row["status"], "running")
    if status == "completed" and row["thread_status"] == "interrupted":
        status = "interrupted"
    root: dict[str, Any] = {"namespace": [], "status": status, "graph_name": row["graph"] or AGENT}
    nodes: dict[tuple[str, ...], dict[str, Any]] = {(): root}
    for line in lines:
        event, data = part_of(line["body"])
        _grow(nodes, tuple(event.split("|")[1:]), orjson.loads(data))
    return {"tree": root}


def _grow(nodes: dict[tuple[str, ...], dict[str, Any]], namespace: tuple[str, ...], told: dict[str, Any]) -> None:
    if namespace not in nodes:
        nodes[namespace] = {"namespace": list(namespace), "status": "started", "graph_name": told["graph_name"]}
        above = next(namespace[:at] for at in range(len(namespace) - 1, -1, -1) if namespace[:at] in nodes)
        nodes[above].setdefault("children", []).append(nodes[namespace])
    nodes[namespace]["status"] = told["event"]


async def get_state(services: ApiServices, thread_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    at = CheckpointRef(checkpoint_ns=_path(params.get("namespace")))
    state = orjson.loads(await services.states.get(thread_id, at, subgraphs=False))
    keys, values, place = params.get("keys"), state["values"], state["checkpoint"]
    if isinstance(keys, list) and isinstance(values, dict):
        values = {name: values[name] for name in keys if name in values}
    found = {"id": place["checkpoint_id"], "ns": place["checkpoint_ns"]} if place.get("checkpoint_id") else None
    return {"values": values, **({"checkpoint": found} if found else {})}


async def list_checkpoints(services: ApiServices, thread_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    limit, before = params.get("limit", _PAGE), params.get("before")
    if not isinstance(limit, int) or not 1 <= limit <= _MOST:
        raise Refused("invalid_argument", f"`limit` is an integer from 1 to {_MOST}")
    at, behind = CheckpointRef(checkpoint_ns=_path(params.get("namespace"))), None
    if before is not None:
        behind = CheckpointRef.model_validate({"checkpoint_id": before, "checkpoint_ns": at.checkpoint_ns})
    found = await services.states.history(thread_id, at, limit=limit, before=behind, metadata=None)
    return {"checkpoints": [_summary(state) for state in orjson.loads(found)]}


async def fork(
    services: ApiServices, thread_id: str, params: Mapping[str, Any], key: str | None = None
) -> dict[str, Any]:
    """A run that goes on from an earlier checkpoint of the thread, with the graph that the newest one is of."""
    if not isinstance(params.get("checkpoint_id"), str):
        raise Refused("invalid_argument", "state.fork needs a `checkpoint_id`; state.listCheckpoints gives them")
    row = await _run(services, thread_id, None)
    await services.states.get(thread_id, CheckpointRef(checkpoint_id=params["checkpoint_id"]), subgraphs=False)
    given = {name: params[name] for name in ("checkpoint_id", "input", "config") if name in params}
    run_id = await start(services, thread_id, {"assistant_id": str(row["assistant_id"] or AGENT), **given}, key)
    return {"run_id": run_id, "thread_id": thread_id}


async def _run(services: ApiServices, thread_id: str, run_id: Any) -> Row:
    row = await services.places.newest(thread_id)
    if row is None or run_id not in (None, str(row["run_id"])):
        raise Refused("no_such_run", "no such run is the newest of this thread; run.start begins one")
    return row


def _path(namespace: Any) -> str:
    fits = isinstance(namespace, Sequence) and not isinstance(namespace, str)
    if namespace is not None and (not fits or not all(isinstance(part, str) for part in namespace)):
        raise Refused("invalid_argument", "`namespace` is a list of texts")
    return "|".join(namespace or ())


def _summary(state: dict[str, Any]) -> dict[str, Any]:
    metadata = state["metadata"]
    summary = {"id": state["checkpoint_id"], "timestamp": state["created_at"], "step": metadata.get("step")}
    return {**summary, "metadata": metadata}
