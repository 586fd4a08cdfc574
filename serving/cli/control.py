"""Commands that steer a run: pause, resume, cancel, fork."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from serving.cli.follow import Follower
from serving.cli.output import print_json
from serving.cli.runs import finish, opened, watch
from serving.errors import BadRequest

_GOING = ("pending", "running")


async def pause_run(run_id: str) -> int:
    async with opened(run_id) as (client, _):
        view = await client.post(f"/runs/{run_id}/pause")
    asked = "asked to pause: it stops at the end of what it is doing now"
    print("paused" if view["phase"] == "paused" else asked)
    print(f"edit its plan: trireme plan {run_id} --edit; go on: trireme resume {run_id}")
    return 0


async def resume_run(run_id: str, bounds: Sequence[str]) -> int:
    """A run that is under way already is followed; only bounds need one that stands still."""
    changed, asked_at = read_bounds(bounds), datetime.now(UTC)
    async with opened(run_id, worker=True) as (client, private):
        view = await client.get(f"/runs/{run_id}")
        if view["status"] == "success" and datetime.fromisoformat(view["finished_at"]) > asked_at:
            return finish(Follower(private), private, view)  # the worker that this command started has done it
        if changed or view["status"] not in _GOING:
            await client.post(f"/runs/{run_id}/resume", {"bounds": changed})
        return await watch(client, private, run_id, view["last_seq"])


async def cancel_run(run_id: str) -> int:
    async with opened(run_id) as (client, _):
        view = await client.post(f"/runs/{run_id}/cancel")
    print("cancelled" if view["status"] == "cancelled" else "asked to stop")
    return 0


async def fork_run(run_id: str, at: int | None, paused: bool, bounds: Sequence[str], json: bool) -> int:
    """With `json` it prints the new run and doesn't follow it."""
    body = {"at": at, "paused": paused, "bounds": read_bounds(bounds)}
    async with opened(run_id, worker=not paused) as (client, private):
        fork = await client.post(f"/runs/{run_id}/fork", body)
        if json:
            print_json(private.restore_json(fork))
            return 0
        print(f"run {fork['run_id']} goes on from line {fork['forked_seq']} of {run_id}", flush=True)
        return await watch(client, private, fork["run_id"], 0)


async def list_points(run_id: str, json: bool) -> int:
    async with opened(run_id) as (client, _):
        points: list[dict[str, Any]] = await client.get(f"/runs/{run_id}/checkpoints")
    if json:
        print_json(points)
        return 0
    for point in points:
        print(f"--at {point['seq']:<5} {point['at'][:19]}  next: {', '.join(point['next'])}")
    if not points:
        print("this run can't be forked: it has not begun, or its checkpoints were pruned")
    return 0


def read_bounds(bounds: Sequence[str]) -> dict[str, float]:
    """NAME=VALUE each. Raises BadRequest for anything else; which names there are, the server knows."""
    found: dict[str, float] = {}
    for bound in bounds:
        name, _, value = bound.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise BadRequest(f"--bounds {bound} is not NAME=VALUE", "for example --bounds cost_usd=5") from None
    return found
