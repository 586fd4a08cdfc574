"""Commands about one run: status, logs, approve. All are clients of the durable backend, and so is what they share."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import orjson

from serving.cli.asking import proposed
from serving.cli.client import Client
from serving.cli.decisions import send_decision
from serving.cli.follow import Follower, answered_by, last_line, place_of, waits_for
from serving.cli.lines import line_of
from serving.cli.output import print_json
from serving.cli.printable import printable
from serving.cli.private import Private, open_private
from serving.cli.session import connected
from serving.errors import BadRequest, Conflict
from serving.runs.requests.limits import check_text, parse_id
from serving.settings import load_settings


@asynccontextmanager
async def opened(run_id: str | None, *, worker: bool = False) -> AsyncIterator[tuple[Client, Private]]:
    if run_id is not None:
        parse_id(run_id, "run")
    settings = load_settings()
    with open_private(settings) as private:
        async with connected(settings, worker=worker) as client:
            yield client, private


async def show_status(run_id: str | None, json: bool) -> int:
    async with opened(run_id) as (client, private):
        if run_id is None:
            return _list(private.restore_json(await client.get("/runs")), json)
        view = private.restore_json(await client.get(f"/runs/{run_id}"))
    if json:
        print_json(view)
        return 0
    view = printable(view)
    print(f"{view['run_id']}  {view['status']} ({view['phase']})")
    if view["forked_from"]:
        print(f"forked from {view['forked_from']} at line {view['forked_seq']}; tokens and cost are its own")
    documents = f"documents: collection {view['collection']}\n" if view["collection"] else ""
    print(f"{view['goal']}\n{documents}thread: {view['thread_id']} (trireme run GOAL --thread continues it)\n")
    for step in view["steps"]:
        print(f"{step['step_id']}  {step['status']}: {step['finding']}")
    if view["answer"]:
        print(f"\n{answered_by(view)}\n{view['answer']}")
    for source in view["sources"]:
        print(f"  [{source['number']}] {place_of(source)}")
    if view["error"]:
        print(f"\n{view['error']['code']}: {view['error']['message']}")
    if view["pruned_at"]:
        print(f"pruned on {view['pruned_at'][:10]} by retention: log and answer are gone")
        return 0
    for approval in view["approvals"]:
        print(f"\n{proposed(approval)}")
    if waiting := waits_for(view) if view["status"] == "interrupted" else "":
        print(f"\n{waiting}")
    print(last_line(view))
    return 0


async def show_logs(run_id: str, follow: bool, json: bool) -> int:
    async with opened(run_id, worker=follow) as (client, private):
        last = (await client.get(f"/runs/{run_id}"))["last_seq"]
        async with aclosing(client.events(run_id)) as events:
            async for event in events:
                _log_line(private.restore_json(event), json)
                if not follow and event["seq"] >= last:
                    break
    return 0


def _log_line(event: dict[str, Any], json: bool) -> None:
    if json:
        print(orjson.dumps(event).decode(), flush=True)
    elif line := line_of(printable(event)):
        print(f"{event['at'][11:23]} {event['seq']:>4}  {line.plain}", flush=True)


async def decide(run_id: str, approval_id: str | None, reject: bool, reason: str) -> int:
    check_text(reason, "the reason")
    async with opened(run_id, worker=True) as (client, private):
        view = private.restore_json(await client.get(f"/runs/{run_id}"))
        approval = _chosen(view, approval_id)
        await send_decision(client, private, run_id, approval, "reject" if reject else "approve", reason=reason)
        return await watch(client, private, run_id, view["last_seq"])


async def watch(client: Client, private: Private, run_id: str, after: int) -> int:
    follower = Follower(private, after)
    status = await follower.until_pause(client, run_id)
    return finish(follower, private, {**await client.get(f"/runs/{run_id}"), "status": status})


def finish(follower: Follower, private: Private, run: dict[str, Any]) -> int:
    view = private.restore_json(run)
    follower.finish(view, view)
    return {"success": 0, "interrupted": 3}.get(view["status"], 1)


def _chosen(view: dict[str, Any], approval_id: str | None) -> dict[str, Any]:
    waiting = {each["approval_id"]: each for each in view["approvals"]}
    if approval_id is None and len(waiting) == 1:
        return dict(next(iter(waiting.values())))
    if approval_id in waiting:
        return dict(waiting[approval_id])
    if not waiting:
        hint = waits_for(view) if view["effects"] else ""
        raise Conflict(f"run {view['run_id']} waits for no decision: it is {view['status']}", hint)
    what = f"waits for {len(waiting)} decisions" if approval_id is None else f"waits for no decision {approval_id}"
    raise BadRequest(f"run {view['run_id']} {what}", f"--id {' or --id '.join(waiting)}")


def _list(rows: list[dict[str, Any]], json: bool) -> int:
    if json:
        print_json(rows)
        return 0
    for row in printable(rows):
        goal = " ".join(row["goal"].split())
        print(f"{row['run_id']}  {row['status']:<11} {row['created_at'][:19]}  {goal[:80]}")
    if not rows:
        print('no runs yet: trireme run "..." --docs DIR')
    return 0
