"""A database that does not do its work: read-only, impatient, locked, at odds with itself, full, or gone for a while.

Each trouble lasts about a second. Afterwards everything must go on by itself.
"""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import psycopg

from tests.chaos.arena import Arena, rows
from tests.chaos.bout import Bout

_LASTS_S = 0.8
_DISK = "disk"
_DISK_MIB = 96


def _admin(arena: Arena, *statements: str) -> None:
    """On a connection that what is set here doesn't hold for."""
    exempt = (
        "-c default_transaction_read_only=off -c statement_timeout=0 -c default_transaction_isolation=read\\ committed"
    )
    with psycopg.connect(arena.dsn, autocommit=True, options=exempt) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _set(name: str, value: str) -> Callable[[Arena], None]:
    """A server setting, for all sessions; they follow it at their next statement."""

    def trouble(arena: Arena) -> None:
        _admin(arena, f"alter system set {name} = '{value}'", "select pg_reload_conf()")
        time.sleep(_LASTS_S)
        _admin(arena, f"alter system reset {name}", "select pg_reload_conf()")

    return trouble


def _locked(arena: Arena) -> None:
    """Whoever wants a run waits, until each connection of each pool does; then there is none left."""
    _admin(arena, f"begin; lock table runs in access exclusive mode; select pg_sleep({_LASTS_S}); commit")


def _stopped(arena: Arena) -> None:
    arena.postgres._control("stop", "-m", "fast", "-w", "-t", "30")
    time.sleep(_LASTS_S)
    arena.postgres.start()


def _crashed(arena: Arena) -> None:
    arena.postgres._control("restart", "-m", "immediate", "-w", "-t", "30")


def _everyone_out(arena: Arena) -> None:
    _admin(arena, "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'chaos-%'")


def _full(arena: Arena) -> None:
    filler = arena.home / _DISK / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass
    time.sleep(_LASTS_S)
    filler.unlink()


OUTAGES: Mapping[str, Callable[[Arena], None]] = {
    "read-only": _set("default_transaction_read_only", "on"),
    "statements cut short": _set("statement_timeout", "2ms"),
    "serializable": _set("default_transaction_isolation", "serializable"),
    "locked": _locked,
    "stopped": _stopped,
    "crashed": _crashed,
    "everyone out": _everyone_out,
    "disk full": _full,
}


@asynccontextmanager
async def small_disk(arena: Arena) -> AsyncIterator[None]:
    """Moves the tables to a disk of their own that can be filled, before anybody is connected. Without root: none."""
    disk = arena.home / _DISK
    disk.mkdir()
    if not _done("mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(disk)):
        disk.rmdir()
        yield
        return
    try:
        (disk / "tables").mkdir(mode=0o700)
        _admin_elsewhere(arena, f"create tablespace small location '{disk / 'tables'}'")
        _admin_elsewhere(arena, "alter database trireme set tablespace small")
        yield
    finally:
        await arena.end_all()
        await asyncio.to_thread(arena.postgres.stop)  # it holds the disk
        _done("umount", str(disk))


def _done(*command: str) -> bool:
    return not subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode


def _admin_elsewhere(arena: Arena, statement: str) -> None:
    with psycopg.connect(arena.dsn.replace("/trireme?", "/postgres?"), autocommit=True) as connection:
        connection.execute(statement.encode())


def _until_a_line(arena: Arena, back: float) -> None:
    """So that one outage's recovery isn't held up by the next."""
    for _ in range(100):
        time.sleep(0.1)
        if rows(arena.dsn, "select exists (select from run_events where at > to_timestamp(%s))", back)[0][0]:
            return


async def outages(bout: Bout) -> None:
    """Each once in the seed's order, then again, `times` in all; the disk only where there is one to fill."""
    possible = [name for name in OUTAGES if name != "disk full" or (bout.arena.home / _DISK).exists()]
    names: list[str] = []
    for _ in range(bout.times):
        names = names or bout.chance.sample(possible, len(possible))
        await asyncio.sleep(bout.chance.uniform(0.2, 0.6))
        name = names.pop()
        await asyncio.to_thread(OUTAGES[name], bout.arena)
        bout.database_back.append(time.time())
        bout.count(f"database {name}")
        await asyncio.to_thread(_until_a_line, bout.arena, bout.database_back[-1])
