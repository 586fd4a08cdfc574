"""A database that does not do its work: read-only, impatient, locked, at odds with itself, full, or gone for a while.

Each trouble lasts about a second. Afterwards everything must go on by itself.
"""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from serving.errors import StartFailed
from tests.chaos.arena import Arena, rows
from tests.chaos.bout import Bout

_LASTS_S = 0.8
_DISK, _WAL_DISK = "disk", "wal-disk"
_DISK_MIB = 96
_MOST_SEGMENTS = 20  # more than the disk has room for
_ENDS_WITHIN_S = 30.0


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


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass
    try:
        yield
    finally:
        filler.unlink()


def _full(arena: Arena) -> None:
    with _filled(arena.home / _DISK):
        time.sleep(_LASTS_S)


def _wal_full(arena: Arena) -> None:
    """Postgres ends itself when it can't write its log ahead, and says why as often as it is started meanwhile."""
    with _filled(arena.home / _WAL_DISK):
        with suppress(psycopg.OperationalError):
            for _ in range(_MOST_SEGMENTS):
                _admin(arena, "select pg_logical_emit_message(true, 'chaos', 'filled')", "select pg_switch_wal()")
        until = time.monotonic() + _ENDS_WITHIN_S
        while arena.postgres.alive() and time.monotonic() < until:
            time.sleep(0.05)
        with pytest.raises(StartFailed, match="No space left on device"):
            arena.postgres.start()
    arena.postgres.start()  # as whoever owns it does again and again: serving/processes/stack.py


OUTAGES: Mapping[str, Callable[[Arena], None]] = {
    "read-only": _set("default_transaction_read_only", "on"),
    "statements cut short": _set("statement_timeout", "2ms"),
    "serializable": _set("default_transaction_isolation", "serializable"),
    "locked": _locked,
    "stopped": _stopped,
    "crashed": _crashed,
    "everyone out": _everyone_out,
    "disk full": _full,
    "WAL full": _wal_full,
}


@asynccontextmanager
async def small_disks(arena: Arena) -> AsyncIterator[None]:
    """Moves tables and WAL to disks of their own that can be filled, before anybody connects. Without root: none."""
    disks = [arena.home / name for name in (_DISK, _WAL_DISK)]
    mounted = [disk for disk in disks if _mounted(disk)]
    try:
        if mounted == disks:
            _move_tables(arena, disks[0])
            _move_wal(arena, disks[1])
        yield
    finally:
        if mounted:
            await arena.end_all()
            await asyncio.to_thread(arena.postgres.stop)  # it holds the disks
        for disk in mounted:
            _done("umount", str(disk))


def _mounted(disk: Path) -> bool:
    disk.mkdir()
    return _done("mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(disk))


def _move_tables(arena: Arena, disk: Path) -> None:
    (disk / "tables").mkdir(mode=0o700)
    _admin_elsewhere(arena, f"create tablespace small location '{disk / 'tables'}'")
    _admin_elsewhere(arena, "alter database trireme set tablespace small")


def _move_wal(arena: Arena, disk: Path) -> None:
    _admin(arena, "alter system set max_wal_size = '64MB'", "alter system set min_wal_size = '32MB'")
    arena.postgres.stop()
    wal = arena.home / "postgres" / "pg_wal"
    shutil.move(wal, disk / "pg_wal")
    wal.symlink_to(disk / "pg_wal")
    arena.postgres.start()


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
    """Each once in the seed's order, then again, `times` in all; the disks only where there are some to fill."""
    disks = (bout.arena.home / _WAL_DISK / "pg_wal").exists()
    possible = [name for name in OUTAGES if disks or not name.endswith("full")]
    names: list[str] = []
    for _ in range(bout.times):
        names = names or bout.chance.sample(possible, len(possible))
        await asyncio.sleep(bout.chance.uniform(0.2, 0.6))
        name = names.pop()
        await asyncio.to_thread(OUTAGES[name], bout.arena)
        bout.database_back.append(time.time())
        bout.count(f"database {name}")
        await asyncio.to_thread(_until_a_line, bout.arena, bout.database_back[-1])
