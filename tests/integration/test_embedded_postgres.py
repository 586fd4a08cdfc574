"""The embedded Postgres ends when it is told to, whatever it is doing just then, and loses nothing."""

import os
import signal
from pathlib import Path

import psycopg

from serving.processes.postgres import EmbeddedPostgres


def test_a_server_that_recovers_from_a_crash_is_stopped_and_has_what_was_committed(tmp_path: Path) -> None:
    """Postgres 18 never comes to the end of a fast shutdown that it is asked for while it recovers.

    The home has a name as people give them, and holds what a start that was cut off left behind."""
    home = tmp_path / "Our home, ö'x %"
    (home / "initdb-cut").mkdir(parents=True)
    postgres = EmbeddedPostgres(home)
    postgres.start()
    assert not (home / "initdb-cut").exists()
    try:
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute("create table kept as select 7 as number")
            os.kill(connection.info.backend_pid, signal.SIGKILL)
        postgres.stop()
        assert not postgres.alive()
        assert postgres.start()
        with psycopg.connect(postgres.dsn) as connection:
            assert connection.execute("select number from kept").fetchall() == [(7,)]
    finally:
        postgres.stop()
