"""A home of its own for each benchmark, and a stack that runs in it: the processes that a user would have."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from serving.cli.client import Client
from serving.cli.private import open_private
from serving.cli.run import read_docs, send_folder
from serving.migrate import migrate
from serving.processes.postgres import EmbeddedPostgres
from serving.settings import Settings
from tests.acceptance.conftest import Home, end, wait_for_line
from tests.bench import langgraph_dev


@dataclass(frozen=True, slots=True)
class Stack:
    """A running `trireme up`; `pid` is its owner's."""

    home: Home
    url: str
    pid: int

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home.path)

    @property
    def dsn(self) -> str:
        return EmbeddedPostgres(self.home.path).dsn


@contextmanager
def new_home() -> Iterator[Home]:
    with TemporaryDirectory(prefix="trireme-bench-") as folder:
        yield Home(Path(folder), {"TRIREME_PORT": "0"})


@contextmanager
def running(home: Home, *options: str) -> Iterator[Stack]:
    """From the block's start everything is up, as `trireme up` says; at its end all of it has stopped."""
    process = home.start("up", *options)
    try:
        yield Stack(home, wait_for_line(process, "API").split()[1], process.pid)
    finally:
        end(process)


@contextmanager
def running_stack() -> Iterator[Stack]:
    with new_home() as home, running(home) as stack:
        yield stack


@contextmanager
def running_graph(graph: str) -> Iterator[Stack]:
    """A stack that hosts a graph, given by its source, as `agent`."""
    with new_home() as home, langgraph_dev.project(graph) as config, running(home, "--config", str(config)) as stack:
        yield stack


@contextmanager
def database() -> Iterator[str]:
    """The DSN of a migrated Postgres of its own, with nothing else beside it."""
    with TemporaryDirectory(prefix="trireme-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            migrate(server.dsn)
            yield server.dsn
        finally:
            server.stop()


async def ingest(stack: Stack, folder: Path) -> str:
    """As `trireme run --docs` does; returns the collection's name."""
    with open_private(stack.settings) as private:
        documents = read_docs(folder, private)
        assert documents is not None
        async with Client(stack.url) as client:
            return await send_folder(client, private, documents)
