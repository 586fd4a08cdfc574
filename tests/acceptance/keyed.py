"""API processes and a worker over one database, and keys of several tenants, as an operator sets them up."""

import asyncio
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from psycopg.rows import dict_row

from serving.keys.key import create
from tests.acceptance.conftest import Home, end
from tests.acceptance.processes import wait_until
from tests.ports import free_port


@dataclass(frozen=True, slots=True)
class Keyed:
    """`urls`: one a process; `processes`: those, then the worker, if there is one."""

    home: Home
    urls: tuple[str, ...]
    processes: "tuple[subprocess.Popen[str], ...]"

    @property
    def dsn(self) -> str:
        return self.home.settings["DATABASE_URL"]

    def key(self, tenant: str, *scopes: str, name: str = "") -> str:
        """As `trireme keys create` makes it."""
        return asyncio.run(self._key(tenant, scopes or ("read", "write"), name))

    async def _key(self, tenant: str, scopes: tuple[str, ...], name: str) -> str:
        connecting = psycopg.AsyncConnection.connect(self.dsn, autocommit=True, row_factory=dict_row)
        async with await connecting as connection:
            return (await create(connection, tenant, name, scopes, None))[1]

    def client(self, key: str = "", at: int = 0, **headers: str) -> httpx.Client:
        given = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.urls[at], headers={**given, **headers}, timeout=60)


@contextmanager
def serving(
    dsn: str, path: Path, apis: int = 1, *, worker: bool = True, settings: Mapping[str, str] | None = None
) -> Iterator[Keyed]:
    home = Home(path, {"DATABASE_URL": dsn, "TRIREME_LEASE_S": "3", "TRIREME_HEARTBEAT_S": "0.5", **(settings or {})})
    ports = [free_port() for _ in range(apis)]
    urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
    with ExitStack() as started:
        commands = [*(("serve", "--port", str(port)) for port in ports), *([("worker",)] if worker else [])]
        processes = tuple(home.start(*command) for command in commands)
        for process in processes:
            started.callback(end, process)
        assert wait_until(lambda: all(map(_answers, urls)) and (not worker or (path / "worker.ready").exists()))
        yield Keyed(home, urls, processes)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ok").status_code == 200
    except httpx.TransportError:
        time.sleep(0.1)
        return False
