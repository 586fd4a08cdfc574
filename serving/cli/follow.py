"""A run as a person watches it: plan, tool calls with their times, verdict, answer, and one last line."""

import shutil
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from serving.cli.client import Client
from serving.cli.lines import line_of
from serving.cli.printable import printable
from serving.cli.private import Private

if TYPE_CHECKING:
    from rich.markdown import Markdown

OFFLINE_LABEL = "offline (extractive stand-in, no language model: set a key or OPENAI_BASE_URL for a real one)"
_PAUSED = "interrupted"


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        """Its own would end the process as a failure: who reads no further, as `head` does, has what it wanted."""
        raise BrokenPipeError


class Follower:
    """Prints to stdout what comes behind line `after` of the log; with `quiet` it only follows."""

    def __init__(self, private: Private, after: int = 0, *, quiet: bool = False) -> None:
        self._private, self._quiet = private, quiet
        self._console = _Screen(highlight=False, soft_wrap=not sys.stdout.isatty())
        self._seen = after

    async def until_pause(self, client: Client, run_id: str) -> str:
        """Follows until the run has ended or waits for a person; returns its status."""
        ending = "unknown"
        async with aclosing(client.events(run_id, self._seen)) as events:
            async for event in events:
                self._seen = event["seq"]
                self._show(event)
                if event["kind"] in ("run_interrupted", "run_paused"):
                    status = (await client.get(f"/runs/{run_id}"))["status"]
                    if status == _PAUSED:
                        return _PAUSED
                if event["kind"] == "run_finished":
                    ending = str(event["status"])
        return ending

    def finish(self, view: dict[str, Any], result: dict[str, Any]) -> None:
        """The answer with its sources, or what went wrong, and the line that sums the run up."""
        view = printable(view)
        if view["answer"]:
            self._answer(view)
        if view["error"]:
            self._console.print(Text(f"\n{view['error']['code']}: {view['error']['message']}", style="red"))
        if view["status"] == _PAUSED:
            self._console.print(Text(f"\n{waits_for(view)}"))
        for name in view["artifacts"]:
            self._console.print(Text(f"  file {name}: {_program()} artifact {view['run_id']} {name}", style="cyan"))
        self._console.print(Text(last_line(result), style="dim"))

    def _show(self, event: dict[str, Any]) -> None:
        line = line_of(printable(self._private.restore_json(event)))
        if line and not self._quiet:
            self._console.print(line)

    def _answer(self, view: dict[str, Any]) -> None:
        self._console.print(Text(f"\n{answered_by(view)}", style="bold"))
        self._console.print(_markdown(view["answer"]) if self._console.is_terminal else Text(view["answer"]))
        if view["partial"]:
            self._console.print(Text(f"partial: {view['note']}", style="yellow"))
        for source in view["sources"]:
            self._console.print(Text(f"  [{source['number']}] {place_of(source)}", style="cyan"))


def _markdown(text: str) -> "Markdown":
    """For terminals alone: elsewhere it would take [1] and placeholders for links."""
    from rich.markdown import Markdown

    return Markdown(text)


def answered_by(view: dict[str, Any]) -> str:
    return f"Answer by {OFFLINE_LABEL}" if view["model"] == "offline" else "Answer"


def place_of(source: dict[str, Any]) -> str:
    page = f", page {source['page']}" if source["page"] else ""
    heading = f" ({source['heading']})" if source["heading"] else ""
    return f"{source['path']}{page}{heading}"


def waits_for(view: dict[str, Any]) -> str:
    """What a parked run waits for, and the command that answers."""
    run_id, waits = view["run_id"], []
    if view["phase"] == "paused":
        waits.append(f"paused. Its plan: trireme plan {run_id} (--edit); go on: trireme resume {run_id}")
    if names := ", ".join(approval["name"] for approval in view["approvals"]):
        plan = any(approval["approval_kind"] == "plan" for approval in view["approvals"])
        look = f"trireme plan {run_id} (--edit)" if plan else f"trireme status {run_id}"
        waits.append(f"waits for a person: {names}. Look: {look}; then trireme approve {run_id} (or --reject)")
    if reasons := "; ".join(effect["reason"] for effect in view["effects"]):
        waits.append(f"waits for a person to say whether it happened: {reasons}. Look: trireme effects {run_id}")
    return "\n".join(waits)


def last_line(result: dict[str, Any]) -> str:
    """`redactions` are known to `trireme run` alone, which made them."""
    usage = result["usage"]
    replaced = ", ".join(f"{kind} {count}" for kind, count in result.get("redactions", {}).items()) or "none"
    parts = (
        f"model {result['model'] or 'none'}",
        f"tokens {usage['input_tokens']:,} in {usage['output_tokens']:,} out",
        f"cached {result['cached_share']:.0%}",
        f"cost ${result['cost_usd']:.4f}",
        *([f"redactions {replaced}"] if "redactions" in result else []),
        f"{result['duration_s']:.1f} s",
        f"more: {_program()} logs {result['run_id']}",
    )
    return "\n" + " | ".join(parts)


def _program() -> str:
    """What calls us again: `.venv/bin/trireme` after make demo, where a shell finds no trireme."""
    called = sys.argv[0]
    return called if Path(called).name == "trireme" and not shutil.which("trireme") else "trireme"
