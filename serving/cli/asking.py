"""What a person at the terminal is asked: whether a call, or a plan, may be, and whether an effect happened."""

import asyncio
import sys
from textwrap import indent
from typing import Any

from serving.cli.client import Client
from serving.cli.decisions import send_decision, send_verdict
from serving.cli.output import as_yaml
from serving.cli.printable import printable
from serving.cli.private import Private

_VERDICTS = {"y": "happened", "n": "did_not", "r": "retry"}


def proposed(approval: dict[str, Any]) -> str:
    """What a person is asked to approve, with each argument: a plan as `trireme plan` shows it."""
    return f"{printable(approval['description'])}\n{_arguments(approval['arguments'])}"


def _arguments(arguments: dict[str, Any]) -> str:
    """Text as it is; a list or an object below its name."""
    lines = []
    for name, value in printable(arguments).items():
        nested = isinstance(value, dict | list)
        lines.append(f"{name}:\n{as_yaml(value).rstrip()}" if nested else f"{name}: {value}")
    return indent("\n".join(lines), "  ")


async def ask_person(client: Client, private: Private, view: dict[str, Any]) -> bool:
    """Asks about all that waits, at the terminal. False when the person leaves something open."""
    for approval in view["approvals"]:
        print(f"\n{proposed(approval)}")
        answer = (await _read("approve? [y]es, [n]o, [l]ater: ")).strip().lower()
        if answer not in ("y", "yes", "n", "no"):
            return False
        decision = "approve" if answer.startswith("y") else "reject"
        await send_decision(client, private, view["run_id"], approval, decision)
    for effect in view["effects"]:
        print(f"\n{printable(effect['reason'])}. Its arguments:\n{_arguments(effect['arguments'])}")
        answer = await _read("did it happen? [y]es, [n]o, [r]etry, [l]ater: ")
        verdict = _VERDICTS.get(answer.strip().lower()[:1])
        if verdict is None:
            return False
        await send_verdict(client, private, view["run_id"], effect, verdict)
    return True


async def _read(prompt: str) -> str:
    """A line from the terminal; "later" at its end. In a thread it couldn't be given up at Ctrl-C."""
    print(prompt, end="", flush=True)
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline() or "later"
