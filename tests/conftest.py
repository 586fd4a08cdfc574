"""Real parts for every test: one Postgres cluster a session, a fresh migrated database a test."""

import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings
from psycopg import sql

from serving.migrate import migrate
from serving.processes.postgres import EmbeddedPostgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="tests/sdk: two API processes and two workers")
    parser.addoption("--compatibility", action="store_true", help="--cluster, and write infra/compatibility.md")


def pytest_configure(config: pytest.Config) -> None:
    """A shell without job control starts `pytest &` deaf to Ctrl-C, and so all that the tests start.

    Hypothesis holds each example to 200 ms of wall time, and httpx each answer to 5 s, which other work on the machine
    may take. The examples are the same each time; `--hypothesis-seed=NUMBER` tries others.
    """
    config.option.cluster |= config.option.compatibility
    signal.signal(signal.SIGINT, signal.default_int_handler)
    same = config.getoption("--hypothesis-seed") is None
    settings.register_profile(
        "busy machine", deadline=None, suppress_health_check=(HealthCheck.too_slow,), derandomize=same
    )
    settings.load_profile("busy machine")
    DEFAULT_TIMEOUT_CONFIG.connect = DEFAULT_TIMEOUT_CONFIG.read = 60.0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What failed and then passed is a race to be found: it is shown whole."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.write_sep("_", f"tried again: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(Path(tmp_path_factory.mktemp("home")))
    server.start()
    without_power_cuts(server.dsn)
    yield server
    server.stop()


def without_power_cuts(dsn: str) -> None:
    """No test cuts the machine's power, and what a killed process had written stays written without what costs time
    (fsync) and what makes the bytes of a step hang on the time of the last checkpoint (pages written whole).

    Autovacuum comes by when it likes: it writes, takes transaction ids and locks, and is seen at work by who counts.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("alter system set full_page_writes = off")
        connection.execute("alter system set autovacuum = off")
        connection.execute("select pg_reload_conf()")


@pytest.fixture(scope="session")
def template_database(postgres: EmbeddedPostgres) -> str:
    migrate(postgres.dsn)
    return postgres.dsn


@pytest.fixture
def database(template_database: str) -> Iterator[str]:
    """The DSN of a database that has the schema and no rows."""
    with fresh_database(template_database) as dsn:
        yield dsn


@contextmanager
def fresh_database(template_database: str) -> Iterator[str]:
    """A copy of the template, for as long as the block lasts."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = template_database.replace("/trireme?", "/postgres?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {name} template trireme".encode())
    yield template_database.replace("/trireme?", f"/{name}?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


def everything_in(dsn: str) -> str:
    """Every row of every table of the database as text."""
    rows: list[str] = []
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("select row::text from {} as row").format(sql.Identifier(schema, table))
            rows.extend(row[0] for row in connection.execute(query))
    return "\n".join(rows)


@contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """What is imported from `folder` meanwhile, and where imports look, is afterwards as if it had not been."""
    path, finders = list(sys.path), list(sys.meta_path)
    yield
    for name, module in list(sys.modules.items()):
        places = [vars(module).get("__file__") or "", *vars(module).get("__path__", ())]
        if any(Path(place).is_relative_to(folder) for place in places):
            del sys.modules[name]
    sys.path[:], sys.meta_path[:] = path, finders
