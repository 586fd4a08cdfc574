"""Runs over HTTP: create, look, follow, decide, resume, cancel."""

import asyncio
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from starlette.requests import HTTPConnection

from graph.ports import ApprovalDecision
from serving.api.admission import step_aside
from serving.api.event_id import line_of
from serving.api.failures import GRAPHS, NATIVE
from serving.api.refusal import EVENTS, STREAMS, TEXT, Responses
from serving.api.sdk.answer import answer
from serving.api.sdk.creation import LOCATION, created, place
from serving.api.sdk.schemas import Run
from serving.api.sockets import EventStream
from serving.auth.filters import EVERYTHING
from serving.database import fetch_one
from serving.errors import BadRequest, Forbidden, Gone, NotFound
from serving.keys.identity import PASSED, Identity
from serving.runs.audit import Audit
from serving.runs.decisions.plan_edit import edited_plan
from serving.runs.log import refuse_cut
from serving.runs.requests.launch import NewRun
from serving.runs.requests.limits import parse_id
from serving.runs.requests.request import RunRequest
from serving.runs.shown import shown_run
from serving.runs.store import refuse_pruned
from serving.runs.view import TERMINAL, RunView, is_settled
from serving.services import ApiServices

router = APIRouter(tags=["runs"])
_LONGEST_WAIT_S = 600.0


def services_for(connection: HTTPConnection) -> ApiServices:
    """Those of the tenant whose API key it carries. Raises Forbidden."""
    services: ApiServices = connection.app.state.services
    identity: Identity = connection.scope["identity"]
    passed = PASSED in connection.scope if identity.user else bool(identity.scopes)
    if not passed:  # a middleware behind the doors has changed the path
        raise Forbidden("this path was changed behind langgraph.json's auth", "leave out auth_first", "shut_by_auth")
    return services.asked_by(identity, connection.headers, connection.scope.get(PASSED, EVERYTHING))


async def services_of(request: Request) -> ApiServices:
    """Async: FastAPI has a thread for what isn't."""
    return services_for(request)


Services = Annotated[ApiServices, Depends(services_of)]


async def asker_of(services: Services) -> str:
    return services.asker


Asker = Annotated[str, Depends(asker_of)]


def _whose(body: Any) -> str:
    return GRAPHS if isinstance(body, NewRun) or (isinstance(body, dict) and "assistant_id" in body) else NATIVE


NativeOrGraphs = Annotated[Annotated[RunRequest, Tag(NATIVE)] | Annotated[NewRun, Tag(GRAPHS)], Discriminator(_whose)]


_LOG: Final[Responses] = {**STREAMS, 204: {"description": "Nothing is left to come"}}
_MADE: Final[dict[str, Any]] = {
    "model": Run | RunView,
    "description": "A run of a graph; or a run of a goal that was waited for or made before; or its log",
    "content": EVENTS,
}


class Approve(BaseModel):
    """A person's decision. `reveal` releases values behind placeholders to this run's tools, for an hour."""

    model_config = ConfigDict(extra="forbid")

    approval_id: str | None = Field(default=None, max_length=200)
    decision: Literal["approve", "edit", "reject"] = "approve"
    arguments: dict[str, Any] | None = None
    reason: str = Field(default="", max_length=2_000)
    by: str = Field(default="", max_length=200, description="who decides; whose API key it is, is told as well")
    reveal: dict[str, str] = Field(default_factory=dict, max_length=50)


@router.post("/runs", status_code=202, response_model=RunView, responses={200: _MADE})
async def create_run(
    body: NativeOrGraphs,
    services: Services,
    request: Request,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
    wait: Annotated[bool, Query(description="answer when the run has ended or waits for a person")] = False,
    accept: Annotated[str, Header()] = "",
) -> Any:
    """Queues a run of a goal. With `Accept: text/event-stream` the answer is its log, live.

    With an `assistant_id` it is a run of a graph on a thread of its own, as the LangGraph SDK has it.
    """
    if isinstance(body, NewRun):
        row = (await created(services, None, body, idempotency_key)).row
        return answer(shown_run(row), {LOCATION: place(row, stateless=True)})
    services.check_webhook(body.checked().webhook)
    run_id, new = await services.runs.accept(await services.redacted(body), idempotency_key)
    response.headers["Location"] = response.headers["Content-Location"] = f"/runs/{run_id}"
    if "text/event-stream" in accept:
        refuse_pruned(run_id, (await services.runs.row(run_id))["pruned_at"])
        return EventStream(services.tails, run_id, 0)
    if wait:
        await _settled(services, request, run_id)
    response.status_code = 202 if new and not wait else 200
    return await services.shown(await services.runs.get(run_id))


@router.get("/runs")
async def list_runs(services: Services, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> Any:
    return await services.restore([_plain(row) for row in await services.runs.latest(limit)])


@router.get("/runs/{run_id}", response_model=RunView)
async def get_run(run_id: str, services: Services) -> Any:
    return await services.shown(await services.runs.get(run_id))


@router.get("/runs/{run_id}/events", response_class=Response, responses=_LOG)
async def run_events(
    run_id: str,
    services: Services,
    last_event_id: Annotated[str, Header()] = "",
    after: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """The run's log as server-sent events: first what was, then what comes, until the run has ended.

    An event's id is its `seq`, its place in the log, and a mark of the run; `Last-Event-ID` takes the seq alone, too.
    One of another run, or of none, is refused. A stream may end before its run (the server stops, the reader is too
    slow): connect again with the last id. 204 says that nothing is left to come, and an EventSource to stay away.
    """
    run = await services.runs.row(run_id)
    start = line_of(last_event_id or str(after), str(run["run_id"]), run["last_seq"])
    if start == run["last_seq"] and run["status"] in TERMINAL:
        return Response(status_code=204)
    refuse_pruned(run_id, run["pruned_at"])
    await refuse_cut(services.pool, str(run["run_id"]), start, run["last_seq"])
    return EventStream(services.tails, str(run["run_id"]), start)


@router.get("/runs/{run_id}/audit", response_model=Audit)
async def audit_run(run_id: str, services: Services, head: str = "") -> Any:
    """Computes the log's chain of hashes anew. `head`: a `log_head` that you kept; the log must have had it."""
    return await services.runs.audit(run_id, head)


@router.post("/runs/{run_id}/approve", response_model=RunView)
async def approve(run_id: str, body: Approve, services: Services) -> Any:
    """Decides what a run waits for: its plan or a tool call. Single use; late or doubled decisions get 409.

    409 `reveal_needed`: the tool needs values behind placeholders that this server doesn't have. Nothing is used up.
    """
    approval_id = body.approval_id or await services.decisions.open_approval(run_id)
    arguments = body.arguments
    if body.decision == "edit":
        if arguments is None:
            raise BadRequest(
                "an edit needs `arguments`", "send the changed plan or tool arguments", "edit_without_arguments"
            )
        if approval_id.startswith("plan-"):
            arguments = edited_plan(arguments).model_dump(mode="json")
        arguments = await asyncio.to_thread(services.redactor.redact_json, arguments)
    shown = await asyncio.to_thread(services.vault.sealed, parse_id(run_id, "run"), body.reveal)
    decision = ApprovalDecision(
        type=body.decision,
        arguments=arguments,
        reason=await services.redact(body.reason),
        by=services.named(await services.redact(body.by)),
        approval_id=approval_id,
    )
    run = await services.decisions.decide(run_id, approval_id, decision, shown)
    return await services.shown(run)


@router.get("/runs/{run_id}/artifacts/{name}", response_class=Response, responses=TEXT)
async def artifact(run_id: str, name: str, services: Services) -> PlainTextResponse:
    """A file that the run wrote."""
    run = await services.runs.get(run_id)
    query = "select media_type, content, pruned_at from artifacts where run_id = %s and name = %s"
    row = await fetch_one(services.pool, query, (run.run_id, name.replace("\x00", "")))
    if row is None:
        raise NotFound("this run wrote no such file", f"GET /runs/{run.run_id} names its files", "artifact_not_found")
    if row["pruned_at"]:
        raise Gone(f"this file was pruned on {row['pruned_at']:%Y-%m-%d} by retention", "its name is all that is left")
    return PlainTextResponse(await services.restore(row["content"]), media_type=row["media_type"])


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value if value is None or isinstance(value, str) else str(value) for key, value in row.items()}


async def _settled(services: ApiServices, request: Request, run_id: str) -> None:
    """Waits until the run has ended or waits for a person, or nobody is there any more to tell."""
    step_aside(request)
    settled, gone = asyncio.create_task(_settles(services, run_id)), asyncio.create_task(hung_up(request))
    try:
        await asyncio.wait({settled, gone}, timeout=_LONGEST_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        settled.cancel()
        gone.cancel()


async def _settles(services: ApiServices, run_id: str) -> None:
    while await services.tails.over(run_id, is_settled) is None:
        pass


async def hung_up(request: Request) -> None:
    """Returns when the caller has gone. Who waits for that doesn't hold a place that others could work in."""
    step_aside(request)
    while (await request.receive())["type"] != "http.disconnect":
        pass
