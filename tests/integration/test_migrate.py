import psycopg
import pytest
from psycopg import sql

from serving.errors import SettingsError, Unreachable
from serving.migrate import migrate, rehearse, schema_files


def test_a_second_migration_applies_nothing(database: str) -> None:
    assert migrate(database) == []


def test_a_database_from_the_future_is_refused(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("insert into schema_migrations (name) values ('9999_future.sql')")
    with pytest.raises(SettingsError, match="9999_future"):
        migrate(database)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused_with_the_mend(database: str, encoding: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        name = f"{connection.info.dbname}_{encoding.lower()}"
        made = sql.SQL("create database {} encoding {} locale 'C' template template0")
        connection.execute(made.format(sql.Identifier(name), sql.Literal(encoding)))
        other = psycopg.conninfo.make_conninfo(database, dbname=name)
        try:
            for start in (migrate, rehearse):
                with pytest.raises(SettingsError, match=rf"encoding is {encoding}, not UTF8 \(make one: createdb"):
                    start(other)
        finally:
            connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def test_a_wrong_database_url_says_what_to_check() -> None:
    with pytest.raises(Unreachable, match="DATABASE_URL"):
        migrate("postgresql://nobody@127.0.0.1:1/none")


def test_the_log_refuses_updates_and_deletes(database: str) -> None:
    run, thread = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into threads (thread_id) values (%s)", (thread,))
        connection.execute(
            "insert into runs (run_id, thread_id, request, request_digest) values (%s, %s, '{}', '')", (run, thread)
        )
        connection.execute('select append_events(%s, null, \'[{"kind": "x"}]\')', (run,))
        for change in ("update run_events set kind = 'y'", "delete from run_events"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(change.encode())


def test_migrations_are_numbered_without_a_clash() -> None:
    numbers = [name.split("_")[0] for name, _ in schema_files()]
    assert len(set(numbers)) == len(numbers)
