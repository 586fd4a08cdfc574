"""200 Markdown files of 4 kB into a running stack, as `trireme run --docs` reads, redacts and sends them."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from serving.cli.client import Client
from serving.cli.private import Private, open_private
from serving.cli.run import read_docs, send_folder
from tests.bench import handbook
from tests.bench.figure import Figure, table
from tests.bench.plain_ingest import plain_ingest
from tests.bench.running import Stack, running_stack

_FILES = 200


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds."""

    parse: float
    redact: float
    send: float

    @property
    def total(self) -> float:
        return self.parse + self.redact + self.send


class Timed(Private):
    """A `Private` that knows how long it took."""

    def __init__(self, private: Private) -> None:
        vars(self).update(vars(private))
        self.seconds = 0.0

    def redact(self, text: str) -> str:
        started = time.monotonic()
        try:
            return super().redact(text)
        finally:
            self.seconds += time.monotonic() - started


def measure() -> Iterator[Figure]:
    with running_stack() as stack, TemporaryDirectory() as folder:
        handbook.write(Path(folder), _FILES)
        phases = asyncio.run(_ingest(stack, Path(folder)))
        again = asyncio.run(_ingest(stack, Path(folder)))
        ours = _chunks(stack)
        started = time.monotonic()
        plain = plain_ingest(Path(folder), stack.dsn)
        plain_s = time.monotonic() - started
        assert plain == ours, (plain, ours)
    name = f"ingest {_FILES} files of 4 kB"
    yield Figure(name, phases.total, "s", 20, f"{plain_s / phases.total:.1f}x as fast as plain: {plain_s:.1f} s")
    yield Figure("  of that: parse", phases.parse, "s")
    yield Figure("  of that: redact", phases.redact, "s", None, "Presidio's import is in it; not in plain's")
    yield Figure("  of that: send and store", phases.send, "s", None, f"{ours} chunks")
    yield Figure(f"{name} again, unchanged", again.total, "s")


async def _ingest(stack: Stack, folder: Path) -> Phases:
    started = time.monotonic()
    with open_private(stack.settings) as private:
        timed = Timed(private)
        documents = read_docs(folder, timed)
        assert documents is not None
        assert len(documents.documents) == _FILES
        parsed = time.monotonic()
        async with Client(stack.url) as client:
            await send_folder(client, timed, documents)
    return Phases(parsed - started, timed.seconds, time.monotonic() - parsed - timed.seconds)


def _chunks(stack: Stack) -> int:
    with psycopg.connect(stack.dsn) as connection:
        row = connection.execute("select count(*) from chunks").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    print(table(measure()))
