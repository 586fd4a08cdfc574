"""`trireme run`: redact, send, follow, restore. What leaves this process is placeholders."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.cli.asking import ask_person
from serving.cli.client import Client
from serving.cli.follow import Follower
from serving.cli.output import print_json
from serving.cli.printable import printable
from serving.cli.private import Private, open_private
from serving.cli.progress import apart, progress
from serving.cli.session import connected
from serving.documents.document import ParsedDocument, Skipped
from serving.errors import BadRequest
from serving.runs.requests.limits import check_goal, parse_id
from serving.settings import Settings, load_settings

_BATCH_CHARACTERS = 400_000
WAITS_FOR_A_PERSON = 3


@dataclass(frozen=True, slots=True)
class RunCommand:
    goal: str
    docs: str | None = None
    json: bool = False
    thread: str | None = None
    review_plan: bool = False
    model: str | None = None
    bounds: dict[str, float] = field(default_factory=dict)
    priority: int = 0
    channel: str | None = None
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Folder:
    """What --docs gave: documents by path, and the files that were skipped with the reason."""

    collection: str
    documents: tuple[ParsedDocument, ...]
    skipped: tuple[Skipped, ...]


async def run_goal(command: RunCommand) -> int:
    """Exit code 0: answered; 1: the run failed; 2: bad input; 3: it waits for a person."""
    check_goal(command.goal)
    if command.docs == "":  # a script's variable that isn't set: never the folder we stand in
        raise BadRequest("--docs names no folder", "give it the folder of your documents, . for this one")
    if command.thread is not None:
        parse_id(command.thread, "thread")
    settings = load_settings()
    with open_private(settings) as private:
        folder = await _read(Path(command.docs), private, quiet=command.json) if command.docs else None
        for skipped in folder.skipped if folder else ():
            _note(command, f"skipped {skipped.path}: {skipped.reason}")
        async with _served(settings, command) as client:
            collection = await send_folder(client, private, folder, quiet=command.json) if folder else ""
            started = await client.post("/runs", _request(command, private, collection))
            return await _follow(client, command, private, started)


@asynccontextmanager
async def _served(settings: Settings, command: RunCommand) -> AsyncIterator[Client]:
    _note(command, "starting" if not settings.url else f"using {settings.url}")
    async with connected(settings, worker=True) as client:
        yield client


async def _read(root: Path, private: Private, *, quiet: bool) -> Folder:
    names = list[str]()
    async with progress(lambda: f"file {len(names)} is read: {''.join(names[-1:])}", quiet=quiet):
        return await apart(read_docs, root, private, names.append)


def read_docs(root: Path, private: Private, told: Callable[[str], object] = str) -> Folder:
    """`told` hears each file's path before it is read."""
    from serving.documents.parse import read_folder

    found = list(read_folder(root, told))
    documents = tuple(entry for entry in found if isinstance(entry, ParsedDocument))
    skipped = tuple(entry for entry in found if isinstance(entry, Skipped))
    return Folder(private.collection(root.resolve()), documents, skipped)


async def send_folder(client: Client, private: Private, folder: Folder, *, quiet: bool = False) -> str:
    """Sends what the server doesn't have yet, redacted, in batches; returns the collection's name."""
    paths = {private.redact(each.path): each for each in folder.documents}
    digests = {path: private.digest(each) for path, each in paths.items()}
    route = f"/collections/{folder.collection}"
    missing = (await client.post(f"{route}/missing", {"digests": digests}))["missing"]
    sent = 0
    async with progress(lambda: f"{sent} of {len(missing)} files redacted and sent", quiet=quiet):
        for batch in _batches([paths[path] for path in missing]):
            documents = await apart(_redacted, private, batch)
            await client.put(f"{route}/documents", {"documents": documents})
            sent += len(batch)
    await client.post(f"{route}/prune", {"paths": list(paths)})
    return folder.collection


def _redacted(private: Private, batch: list[ParsedDocument]) -> list[dict[str, Any]]:
    return [private.document(each) for each in batch]


def _batches(documents: Sequence[ParsedDocument]) -> list[list[ParsedDocument]]:
    batches: list[list[ParsedDocument]] = []
    size = _BATCH_CHARACTERS
    for each in documents:
        length = sum(len(section.text) for section in each.sections)
        if size + length > _BATCH_CHARACTERS:
            batches.append([])
            size = 0
        batches[-1].append(each)
        size += length
    return batches


def _request(command: RunCommand, private: Private, collection: str) -> dict[str, Any]:
    return {
        "goal": private.redact(command.goal),
        "collection": collection,
        "channel": command.channel or ("api" if command.json else "cli"),
        "thread_id": command.thread,
        **({"if_not_exists": "reject"} if command.thread else {}),  # ids are given, so one that isn't there is a slip
        "review_plan": command.review_plan,
        "model": command.model,
        "bounds": command.bounds,
        "priority": command.priority,
        "after_seconds": command.after_seconds,
    }


async def _follow(client: Client, command: RunCommand, private: Private, run: dict[str, Any]) -> int:
    run_id = run["run_id"]
    follower = Follower(private, quiet=command.json)
    try:
        while True:
            status = await follower.until_pause(client, run_id)
            view = private.restore_json(await client.get(f"/runs/{run_id}"))
            if status != "interrupted":
                break
            if command.json or not sys.stdin.isatty() or not await ask_person(client, private, view):
                break
    except (asyncio.CancelledError, OSError):  # the latter: nobody reads on, or the disk is full
        _note(
            command, f"\nthe run is kept and goes on with the next trireme up or trireme resume: trireme logs {run_id}"
        )
        raise
    result = summary(view, private)
    if command.json:
        print_json(result)
    else:
        follower.finish(view, result)
    return {"success": 0, "interrupted": WAITS_FOR_A_PERSON}.get(view["status"], 1)


def summary(view: dict[str, Any], private: Private) -> dict[str, Any]:
    """The object that --json prints."""
    keys = ("run_id", "thread_id", "status", "answer", "sources", "plan", "usage", "cost_usd", "cached_share")
    extra = {key: view[key] for key in ("partial", "note", "error", "approvals", "effects") if view.get(key)}
    rest = {key: view[key] for key in ("model", "duration_s", "log_head")}
    return {key: view[key] for key in keys} | {"redactions": private.counts} | rest | extra


def _note(command: RunCommand, text: str) -> None:
    if not command.json or text.startswith("skipped"):
        print(printable(text), file=sys.stderr, flush=True)
