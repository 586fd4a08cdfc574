"""Is it alive, what is it, how is it doing."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Response

from serving.api.refusal import TEXT
from serving.api.runs import Services
from serving.telemetry.metrics import render

router = APIRouter(tags=["health"])
front = APIRouter()
"""What a server without routes of the user's own says at its root."""

_PATIENCE_S = 2.0


@router.get("/ok")
async def ok(services: Services, check_db: bool = True) -> dict[str, bool]:
    """200 when the server and its database answer; 503 within seconds when the latter doesn't. With `check_db=0` it is
    not asked: a server that is started anew for it, as a failed liveness probe does, is away for longer."""
    if check_db:
        async with services.pool.connection(timeout=_PATIENCE_S) as connection:
            await connection.execute("select 1")
    return {"ok": True}


# Probes ask with HEAD too, and some at the root, as LangGraph's server answers there.
router.add_api_route("/ok", ok, methods=["HEAD"], include_in_schema=False)
front.add_api_route("/", ok, methods=["GET", "HEAD"], include_in_schema=False)


@router.get("/info")
async def info() -> dict[str, Any]:
    """What LangGraph's clients look for: which parts of its API are here (`flags`), and whose server it is."""
    return {
        "name": "trireme",
        "version": "0.1.0",
        "langgraph_py_version": version("langgraph"),
        "flags": {"assistants": True, "crons": True, "langsmith": False, "langsmith_tracing_replicas": False},
        "host": {"kind": "self-hosted"},
    }


@router.get("/metrics", response_class=Response, responses=TEXT)
async def metrics(services: Services) -> Response:
    return Response(await render(services.pool), media_type="text/plain; version=0.0.4")
