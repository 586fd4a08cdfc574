"""What the running processes may do in the database: a role of their own, which can't change or shorten a log.

The role has no login; pools assume it when they connect. Migrations and retention work as the tables' owner.
"""

from typing import Final, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import DuplicateObject, InsufficientPrivilege, UniqueViolation

ROLE: Final = "trireme_runtime"
MEND: Final = f"as its superuser: create role {ROLE} nologin; grant {ROLE} to USER; then trireme migrate"

_GRANT: Final[LiteralString] = """
do $$
declare
    tab record;
begin
    for tab in
        select oid::regclass as name, case relname
            when 'run_events' then 'select, insert'
            when 'schema_migrations' then 'select'
            when 'retention' then 'select'
            when 'api_keys' then 'select, update (used_at)'
            when 'runs' then 'select, insert, update'
            when 'threads' then 'select, insert, update'
            else 'select, insert, update, delete' end as rights
        from pg_class
        where relkind = 'r' and relnamespace = current_schema()::regnamespace and pg_has_role(relowner, 'usage')
            and not has_table_privilege('trireme_runtime', oid, 'select')
    loop
        execute format('grant %s on %s to trireme_runtime', tab.rights, tab.name);
    end loop;
    if not has_schema_privilege('trireme_runtime', current_schema(), 'usage') then
        execute format('grant usage on schema %I to trireme_runtime', current_schema());
    end if;
    if not has_function_privilege('trireme_runtime', 'delete_threads(text, uuid[])', 'execute')
        and has_function_privilege('delete_threads(text, uuid[])', 'execute with grant option') then
        grant execute on function delete_threads to trireme_runtime;
    end if;
    if not has_function_privilege('trireme_runtime', 'forget_runs(text, uuid[])', 'execute')
        and has_function_privilege('forget_runs(text, uuid[])', 'execute with grant option') then
        grant execute on function forget_runs to trireme_runtime;
    end if;
end $$
"""
# Roles belong to the whole cluster: another database's migration may do the same at this moment.
_REFUSED: Final = (DuplicateObject, InsufficientPrivilege, UniqueViolation, psycopg.InternalError)


def grant_rights(connection: psycopg.Connection) -> None:
    """Makes the role where this user may, and grants it what is new; inside the caller's transaction."""
    if not _known(connection):
        _try(connection, "create role trireme_runtime nologin")
    if _known(connection):
        if not _try(connection, "set local role trireme_runtime", keep=False):
            _try(connection, "grant trireme_runtime to current_user")
        connection.execute(_GRANT)


def _known(connection: psycopg.Connection) -> bool:
    return connection.execute("select 1 from pg_roles where rolname = 'trireme_runtime'").fetchone() is not None


def _try(connection: psycopg.Connection, statement: LiteralString, *, keep: bool = True) -> bool:
    try:
        with connection.transaction(force_rollback=not keep):
            connection.execute(statement)
    except _REFUSED:
        return False
    return True


def runtime_dsn(dsn: str) -> str:
    """The address whose connections have the role from their first statement; `dsn` itself where they may not."""
    options = conninfo_to_dict(dsn).get("options") or ""
    assumed = make_conninfo(dsn, options=f"{options} -c role={ROLE}".strip())
    try:
        psycopg.connect(assumed, connect_timeout=5).close()
    except psycopg.OperationalError:
        psycopg.connect(dsn, connect_timeout=5).close()  # it is the role, or the database doesn't answer at all
        return dsn
    return assumed
