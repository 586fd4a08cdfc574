"""A running process can't change or shorten a log, whatever SQL it is made to send: the database refuses it."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from graph.events import RunFinished
from serving.errors import SettingsError
from serving.migrate import migrate, rehearse
from serving.rights import ROLE, runtime_dsn
from tests.integration.run_house import House

_FORBIDDEN: tuple[LiteralString, ...] = (
    "update run_events set kind = 'x'",
    "update run_events set hash = ''",
    "delete from run_events",
    "truncate run_events",
    "truncate threads cascade",
    "delete from runs",
    "delete from threads",
    "alter table run_events disable trigger all",
    "alter table run_events disable trigger run_events_append_only",
    "drop trigger run_events_append_only on run_events",
    "alter table run_events drop column hash",
    "alter table run_events owner to trireme_runtime",
    "drop table run_events",
    "drop table runs cascade",
    "create or replace function refuse_change() returns trigger language plpgsql as 'begin return new; end'",
    "create or replace function append_events(run uuid, attempt bigint, bodies json) "
    "returns table (seq bigint, at timestamptz, body json) language sql as 'select 1::bigint, now(), null::json'",
    "set session_replication_role = 'replica'",
    "insert into schema_migrations (name) values ('9999_x.sql')",
    "create rule r as on insert to run_events do instead nothing",
    "create trigger t before insert on run_events for each row execute function refuse_change()",
    "create index i on run_events (at)",
)


@pytest.fixture
def plain_user(template_database: str) -> Iterator[str]:
    """An empty database and its owner, who may neither create roles nor be anyone else; the DSN is his."""
    name = f"plain_{uuid.uuid4().hex[:12]}"
    admin = template_database.replace("/trireme?", "/postgres?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create role {name} login".encode())
        connection.execute(f"create database {name} owner {name}".encode())
    with psycopg.connect(template_database.replace("/trireme?", f"/{name}?"), autocommit=True) as connection:
        connection.execute("create extension vector")
    yield template_database.replace("/trireme?", f"/{name}?").replace("user=trireme", f"user={name}")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())
        connection.execute(f"drop role {name}".encode())


def test_a_running_process_may_not_touch_a_log_that_stands(database: str) -> None:
    with psycopg.connect(runtime_dsn(database), autocommit=True) as connection:
        for statement in _FORBIDDEN:
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement)
        connection.execute("grant delete on run_events to trireme_runtime")  # only warns, and grants nothing
        with pytest.raises(InsufficientPrivilege):
            connection.execute("delete from run_events")


async def test_a_whole_run_needs_no_more_rights(house: House) -> None:
    """The house's pools have the role, as the processes have; so does every other test of runs."""
    async with house.pool.connection() as connection:
        row = await (await connection.execute("select current_user")).fetchone()
    assert row == {"current_user": ROLE}
    run_id = await house.create()
    await house.queue.leave(await house.claim(), "success", RunFinished(status="success"))
    assert (await house.store.get(run_id)).status == "success"


def test_the_owner_can_still_forget_a_thread(database: str) -> None:
    """The cascade works with the owner's rights, and passes the trigger."""
    thread = str(uuid.uuid4())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into threads (thread_id) values (%s)", (thread,))
        connection.execute(
            "insert into runs (run_id, thread_id, request, request_digest) values (%s, %s, '{}', '')", (thread, thread)
        )
        connection.execute("""select append_events(%s, null, '[{"kind": "x"}]')""", (thread,))
        connection.execute("delete from threads")
        assert connection.execute("select count(*) from run_events").fetchone() == (0,)


def test_every_table_of_the_schema_is_granted(database: str) -> None:
    query = """select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
        and not has_table_privilege('trireme_runtime', oid, 'select')"""
    with psycopg.connect(database) as connection:
        assert connection.execute(query).fetchall() == []


def test_without_the_role_the_trigger_still_holds_and_the_doctor_says_how_to_mend_it(plain_user: str) -> None:
    elsewhere = psycopg.conninfo.make_conninfo(plain_user, dbname="postgres")
    with pytest.raises(SettingsError, match=r"refuses the schema: permission denied for schema public"):
        migrate(elsewhere)
    migrate(plain_user)
    assert runtime_dsn(plain_user) == plain_user
    command = [sys.executable, "-m", "serving", "doctor"]
    done = subprocess.run(command, env={"DATABASE_URL": plain_user}, capture_output=True, text=True, check=False)
    (line,) = [line for line in done.stdout.splitlines() if " rights " in line]
    assert "grant trireme_runtime to USER" in line
    emptying: tuple[LiteralString, ...] = ("truncate run_events", "truncate threads cascade")
    for statement in emptying:
        with psycopg.connect(plain_user) as connection, pytest.raises(psycopg.errors.RaiseException, match="append"):
            connection.execute(statement)


@pytest.mark.parametrize("start", [migrate, rehearse])
def test_a_database_that_cannot_be_worked_on_is_named_with_the_mend(
    template_database: str, plain_user: str, start: Callable[[str], object]
) -> None:
    make, name = psycopg.conninfo.make_conninfo, psycopg.conninfo.conninfo_to_dict(plain_user)["user"]
    with pytest.raises(SettingsError, match="read-only") as refused:
        start(make(plain_user, options="-c default_transaction_read_only=on"))
    assert "name the primary, and a user who may write" in refused.value.hint
    with pytest.raises(SettingsError, match="may not write") as refused:
        start(make(plain_user, dbname="trireme"))
    assert f"grant trireme_runtime to {name}" in refused.value.hint
    with pytest.raises(SettingsError, match="refuses the schema: permission denied"):
        start(make(plain_user, dbname="postgres"))


def test_the_doctor_leaves_an_empty_database_empty(plain_user: str) -> None:
    rehearse(plain_user)
    with psycopg.connect(plain_user) as connection:
        assert connection.execute("select to_regclass('runs')").fetchone() == (None,)


def test_a_user_who_was_granted_the_role_gets_it(template_database: str, plain_user: str) -> None:
    migrate(plain_user)
    with psycopg.connect(template_database, autocommit=True) as connection:
        name = psycopg.conninfo.conninfo_to_dict(plain_user)["user"]
        connection.execute(f"grant trireme_runtime to {name}".encode())
    with psycopg.connect(runtime_dsn(plain_user)) as connection:
        assert connection.execute("select current_user").fetchone() == (ROLE,)
        with pytest.raises(InsufficientPrivilege):
            connection.execute("delete from run_events")


def test_many_processes_and_databases_may_start_at_once(template_database: str) -> None:
    admin = template_database.replace("/trireme?", "/postgres?")
    names = [f"race_{uuid.uuid4().hex[:8]}" for _ in range(3)]
    urls = [template_database.replace("/trireme?", f"/{name}?") for name in names]
    with psycopg.connect(admin, autocommit=True) as connection:
        for name in names:
            connection.execute(f"create database {name}".encode())
    try:
        with ThreadPoolExecutor(6) as pool:
            assert len(list(pool.map(migrate, urls * 2))) == 6
        for url in urls:
            with psycopg.connect(runtime_dsn(url)) as connection:
                assert connection.execute("select count(*) from run_events").fetchone() == (0,)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            for name in names:
                connection.execute(f"drop database {name} with (force)".encode())
