"""The HTTP application: a thin surface over the run service. It reads and writes rows; it never runs a graph."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from serving.api import control, documents, effects, health, memory, profiles, runs, webhooks
from serving.api.admission import Admission
from serving.api.agent_protocol import agents
from serving.api.agent_protocol.app import protocol_app
from serving.api.agent_protocol.place import PREFIX
from serving.api.authorization.authorized import Authorization, Authorized
from serving.api.body import refuse_unkeepable
from serving.api.cors import Cors, Origins
from serving.api.documented import Documented
from serving.api.failures import install_failures
from serving.api.guard import Guard
from serving.api.mounted import Mounted, without
from serving.api.openai import chat, models, responses
from serving.api.refusal import REFUSALS
from serving.api.sdk import assistants, crons, run_streams, states, store, threads
from serving.api.sdk import runs as graph_runs
from serving.api.sockets import Unlent
from serving.api.standing import Lent
from serving.api.thread_streams import joining, socket, streams
from serving.hosting.http import Http
from serving.services import ApiServices

if TYPE_CHECKING:
    from serving.auth.custom import CustomAuth
    from serving.hosting.beside import Beside

# Routes are tried in this order, so what is asked for most often comes first.
_PARTS = (
    *(runs, run_streams, graph_runs, health),
    *(states, threads, streams, socket, joining),
    *(chat, responses, models),
    *(control, effects, documents, memory, profiles, webhooks),
    *(assistants, store, crons, agents),
)
OpenServices = Callable[[], AbstractAsyncContextManager[ApiServices]]


def create_app(
    open_services: OpenServices,
    *,
    exposed: bool = False,
    origins: Origins | None = None,
    concurrency: int = 100,
    beside: "Beside | None" = None,
    http: Http | None = None,
    auth: "CustomAuth | None" = None,
) -> FastAPI:
    """The application; its services are opened when the server starts and closed when it stops.

    `exposed`: it listens beyond loopback, so nothing is open without an API key. `origins`: pages that may use it.
    `concurrency`: so many requests are in work at a time. `beside`: has the routes that we haven't.
    `http`: what langgraph.json says of the routes, and of where the middleware of `beside` stands.
    `auth`: what it says of who may come in without an API key of ours, and what they may do.
    """
    origins, http = origins or Origins(), http or Http()
    app = Documented(
        title="Trireme",
        version="0.1.0",
        summary="Runs of planner, worker and critic, and of graphs",
        description=f"The Agent Protocol is under {PREFIX}, with [a document of its own]({PREFIX}/docs).",
        lifespan=_lifespan(open_services, beside),
        dependencies=[Depends(refuse_unkeepable)],
        responses=REFUSALS,
        openapi_url=None if http.disable_meta else "/openapi.json",
    )
    app.beside = beside
    install_failures(app)
    routers = [without(part.router, http.off) for part in _PARTS]
    if beside is None and not http.disable_meta:
        routers.append(health.front)
    custom = Authorization(auth, [route for router in routers for route in router.routes]) if auth else None
    others = {"others": beside is not None, "others_open": http.enable_custom_route_auth is False}
    around = [Middleware(Guard, exposed=exposed, admits=origins.admits, **others, custom=custom)]
    if custom:
        around.append(Middleware(Authorized, authorization=custom))
    for each in reversed(_with_theirs(around, beside, http)):
        app.add_middleware(each.cls, *each.args, **each.kwargs)
    app.add_middleware(Admission, most=concurrency)
    app.add_middleware(Cors, origins=origins)
    if http.mount_prefix:
        app.add_middleware(Mounted, prefix=http.mount_prefix)
    for router in routers:
        app.include_router(router)
    app.mount(PREFIX, protocol_app(app, http.off))
    if beside:
        app.router.default = beside  # behind our routes, and behind what we say of a wrong method
    return app


def _lifespan(
    open_services: OpenServices, beside: "Beside | None"
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services() as services, beside.living() if beside else nullcontext():
            app.state.services, app.state.lent = services, Lent()
            background = [asyncio.create_task(work) for work in (services.warm(), app.state.lent.serve())]
            try:
                yield
            finally:
                for task in background:
                    task.cancel()

    return lifespan


def _with_theirs(ours: list[Middleware], beside: "Beside | None", http: Http) -> list[Middleware]:
    """The outermost first: the user's own stands before the guard, unless langgraph.json says `auth_first`."""
    if beside is None or not beside.middleware:
        return ours
    theirs = [*beside.middleware, Middleware(Unlent)]
    return [*ours, *theirs] if http.middleware_order == "auth_first" else [*theirs, *ours]
