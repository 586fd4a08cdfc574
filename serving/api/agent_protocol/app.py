"""The Agent Protocol as an application of its own, under a path of its own: its 27 operations and its document.

Some of its paths are elsewhere the LangGraph SDK's (`/store/namespaces`) or our own (`GET /runs/{run_id}`), and answer
otherwise there.
"""

from collections.abc import Collection

from fastapi import Depends, FastAPI

from serving.api.agent_protocol import agents, runs, store, streaming, threads
from serving.api.agent_protocol.failures import AROUND
from serving.api.body import refuse_unkeepable
from serving.api.failures import install_failures
from serving.api.mounted import without


def protocol_app(host: FastAPI, off: Collection[str] = ()) -> FastAPI:
    """Shares the services of `host`, in which it is mounted. `off`: the groups of routes that it hasn't."""
    app = FastAPI(
        title="Agent Protocol",
        version="0.1.6",
        summary="langchain-ai/agent-protocol, as Trireme answers it",
        dependencies=[Depends(refuse_unkeepable)],
        responses={**AROUND},
        openapi_url=None if "meta" in off else "/openapi.json",
    )
    app.state = host.state
    install_failures(app)
    for part in (agents, threads, runs, streaming, store):
        app.include_router(without(part.router, off))
    return app
