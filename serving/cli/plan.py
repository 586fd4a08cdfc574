"""`trireme plan`: a run's plan as YAML, and its edit while it waits for approval or the run is paused."""

import asyncio
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from serving.cli.decisions import send_decision
from serving.cli.printable import printable
from serving.cli.runs import opened, watch
from serving.errors import BadRequest, Conflict, Gone
from serving.runs.limits import check_json
from serving.settings import load_settings


async def show_plan(run_id: str, edit: bool, file: Path | None) -> int:
    async with opened(run_id, worker=edit) as (client, private):
        view = private.restore_json(await client.get(f"/runs/{run_id}"))
        if view["pruned_at"]:
            raise Gone(
                f"run {run_id} was pruned on {view['pruned_at'][:10]} by retention", "its status is all that is left"
            )
        if view["plan"] is None:
            raise Conflict(f"run {run_id} has no plan yet: it is {view['status']}", "wait, or see trireme logs")
        text = yaml.safe_dump(view["plan"], sort_keys=False, allow_unicode=True)
        if not edit:
            print(printable(text) if sys.stdout.isatty() else text, end="")
            return 0
        approval = next((each for each in view["approvals"] if each["approval_kind"] == "plan"), None)
        if approval is None and view["phase"] != "paused":
            hint = f"trireme fork {run_id} --paused" if view["finished_at"] else f"trireme pause {run_id}"
            raise Conflict(f"run {run_id} is {view['status']}: its plan can't be edited now", hint)
        edited = private.redact_json(await asyncio.to_thread(_edited, text, file))
        if approval is None:
            await client.put(f"/runs/{run_id}/plan", {"plan": edited, "last_seq": view["last_seq"]})
            print(f"the plan is changed; go on with it: trireme resume {run_id}")
            return 0
        await send_decision(client, private, run_id, approval, "edit", arguments=edited)
        return await watch(client, private, run_id, view["last_seq"])


def _edited(text: str, file: Path | None) -> dict[str, Any]:
    changed = _read(file) if file else _in_editor(text)
    try:
        value = yaml.safe_load(changed)
    except (yaml.YAMLError, RecursionError) as error:
        raise BadRequest(
            f"the plan is no YAML: {str(error).splitlines()[0]}", "nothing was changed; try again"
        ) from None
    if not isinstance(value, dict):
        raise BadRequest("the plan must be a mapping with `steps`", "nothing was changed; try again")
    check_json(value)
    return value


def _read(file: Path) -> str:
    try:
        return sys.stdin.buffer.read().decode() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} can't be read: {error}", "nothing was changed") from None


def _in_editor(text: str) -> str:
    editor = load_settings().editor
    with tempfile.NamedTemporaryFile("w+", suffix=".yaml", encoding="utf-8") as draft:
        draft.write(text)
        draft.flush()
        try:
            code = subprocess.run([*shlex.split(editor), draft.name], check=False).returncode
        except (OSError, ValueError) as error:
            raise BadRequest(f"the editor {editor!r} can't be started: {error}", "set EDITOR, or use --file") from None
        if code:
            raise BadRequest(f"{editor} ended with an error", "nothing was changed; set EDITOR")
        return Path(draft.name).read_text("utf-8")
