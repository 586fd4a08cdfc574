"""`trireme plan`: a run's plan as YAML, and its edit while it waits for approval or the run is paused."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml

from serving.cli.client import Client
from serving.cli.decisions import send_decision
from serving.cli.draft import drafted, read_text
from serving.cli.output import as_yaml
from serving.cli.printable import printable
from serving.cli.private import Private
from serving.cli.runs import opened, watch
from serving.errors import BadRequest, Conflict, Gone
from serving.runs.requests.limits import check_json


async def show_plan(run_id: str, edit: bool, file: Path | None) -> int:
    if file and not edit:
        raise BadRequest("--file holds a new plan, and nothing is edited without --edit", "add --edit")
    async with opened(run_id, worker=edit) as (client, private):
        view = private.restore_json(await client.get(f"/runs/{run_id}"))
        if view["pruned_at"]:
            raise Gone(
                f"run {run_id} was pruned on {view['pruned_at'][:10]} by retention", "its status is all that is left"
            )
        if view["plan"] is None:
            raise Conflict(f"run {run_id} has no plan yet: it is {view['status']}", "wait, or see trireme logs")
        text = as_yaml(view["plan"])
        if edit:
            return await _edit(client, private, view, text, file)
        print(printable(text) if sys.stdout.isatty() else text, end="")
        return 0


async def _edit(client: Client, private: Private, view: dict[str, Any], text: str, file: Path | None) -> int:
    run_id = view["run_id"]
    approval = next((each for each in view["approvals"] if each["approval_kind"] == "plan"), None)
    if approval is None and view["phase"] != "paused":
        hint = f"trireme fork {run_id} --paused" if view["finished_at"] else f"trireme pause {run_id}"
        raise Conflict(f"run {run_id} is {view['status']}: its plan can't be edited now", hint)
    go_on = f"trireme {'approve' if approval else 'resume'} {run_id}"
    draft = drafted(text, f"trireme plan {run_id} --edit --file")
    async with nullcontext(read_text(file)) if file else draft as changed:
        if changed == text and not file:
            raise BadRequest("nothing was changed", f"go on with the plan as it is: {go_on}")
        edited = private.redact_json(_parsed(changed))
        if approval is None:
            await client.put(f"/runs/{run_id}/plan", {"plan": edited, "last_seq": view["last_seq"]})
        else:
            await send_decision(client, private, run_id, approval, "edit", arguments=edited)
    if approval is None:
        print(f"the plan is changed; go on with it: {go_on}")
        return 0
    return await watch(client, private, run_id, view["last_seq"])


def _parsed(text: str) -> dict[str, Any]:
    """All that a plan holds is text: `2026-11-22` and `yes` too, whatever YAML makes of them."""
    try:
        value = yaml.load(text, yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise BadRequest(f"the plan is no YAML: {_problem(error)}", "nothing was changed; try again") from None
    if not isinstance(value, dict):
        raise BadRequest("the plan must be a mapping with `steps`", "nothing was changed; try again")
    check_json(value)
    return value


def _problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]
