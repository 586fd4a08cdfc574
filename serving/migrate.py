"""Ordered SQL files, applied once each under an advisory lock; every process calls this when it starts."""

from importlib.resources import files

import psycopg

from serving.errors import ServingError, SettingsError, Unreachable
from serving.rights import MEND, grant_rights

_LOCK = 0x7472_6972_656D_6500  # "trireme"


def schema_files() -> list[tuple[str, str]]:
    """(name, SQL) in order."""
    folder = files("serving.runs") / "schema"
    return sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".sql"))


def migrate(dsn: str) -> list[str]:
    """Brings the database up to this version's schema; returns the names applied.

    Raises Unreachable when it can't connect, SettingsError when the address is none, or the database is newer, lacks
    pgvector, has another encoding than UTF-8, is read-only or refuses.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            _require_utf8(connection)
            _require_writable(connection)
            applied = _apply(connection)
            grant_rights(connection)
            return applied
    except psycopg.Error as error:
        raise reported(error) from None


def rehearse(dsn: str) -> str:
    """The server's version; raises what `migrate` would, and leaves nothing behind: only an empty database, which
    nobody works on, is given the schema, and loses it again."""
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            _require_utf8(connection)
            _require_writable(connection)
            if _is_empty(connection):
                with connection.transaction(force_rollback=True):
                    _apply(connection)
            return str(connection.info.server_version // 10_000)
    except psycopg.Error as error:
        raise reported(error) from None


def reported(error: psycopg.Error) -> ServingError:
    """What a connection's failure says, without the address: it may hold a password."""
    if isinstance(error, psycopg.ProgrammingError) and not error.sqlstate:
        return SettingsError("DATABASE_URL is no Postgres address", "write postgresql://user:password@host:5432/name")
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.endswith("?")]
    reason = lines[-1] if lines else "no answer"
    if "failed to resolve host" in reason and "@" in reason:  # the "host" begins with the password's end
        return SettingsError("DATABASE_URL holds two @", "write the one in the password as %40")
    if isinstance(error, psycopg.OperationalError):
        return Unreachable(f"Postgres can't be reached: {reason}", "check DATABASE_URL: host, port, name, password")
    said = error.diag.message_primary or reason
    return SettingsError(f"the database refuses the schema: {said}", "its user must be allowed to create tables")


def _require_utf8(connection: psycopg.Connection) -> None:
    """A cluster that was made without a locale has SQL_ASCII, of which psycopg gives bytes for text."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):
        mend = "make one: createdb --encoding UTF8 --template template0 NAME"
        raise SettingsError(f"the database's encoding is {encoding}, not UTF8", mend)


def _require_writable(connection: psycopg.Connection) -> None:
    settled = "select current_setting('transaction_read_only') = 'on', current_user"
    read_only, user = connection.execute(settled).fetchone() or (False, "")
    if read_only:
        raise SettingsError(
            "the database is read-only", f"let DATABASE_URL name the primary, and a user who may write: {user} may not"
        )
    writable = "select has_table_privilege('run_events', 'insert') where to_regclass('run_events') is not null"
    if connection.execute(writable).fetchone() == (False,):
        raise SettingsError(f"the database's user {user} may not write to its tables", MEND.replace("USER", user))


def _is_empty(connection: psycopg.Connection) -> bool:
    return connection.execute("select 1 where to_regclass('schema_migrations') is null").fetchone() is not None


def _apply(connection: psycopg.Connection) -> list[str]:
    # A user who may not create tables can still start on a database whose owner has migrated it.
    if _is_empty(connection):
        connection.execute(
            "create table schema_migrations (name text primary key, at timestamptz not null default now())"
        )
    applied = {row[0] for row in connection.execute("select name from schema_migrations")}
    known = schema_files()
    if newer := applied - {name for name, _ in known}:
        raise SettingsError(f"the database is newer than this version: {min(newer)}", "upgrade trireme")
    new = [(name, sql) for name, sql in known if name not in applied]
    for name, sql in new:
        try:
            connection.execute(sql.encode())
        except (psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported, psycopg.errors.InsufficientPrivilege):
            raise SettingsError(
                f"migration {name} needs the pgvector extension", "install pgvector, or let its owner create it"
            ) from None
        connection.execute("insert into schema_migrations (name) values (%s)", (name,))
    return [name for name, _ in new]
