"""The table of the store's vectors, made for as many dimensions as langgraph.json says."""

from typing import Final, LiteralString

import psycopg

from serving.errors import SettingsError
from serving.migrate import reported
from serving.rights import grant_rights

_LOCK: Final = 0x7472_6972_656D_6503
_DIMENSIONS: LiteralString = """
select atttypmod from pg_attribute where attrelid = to_regclass('store_vectors') and attname = 'embedding'
"""
_CREATE: LiteralString = """
create table store_vectors (
    prefix text not null,
    key text not null,
    field_name text not null,
    embedding vector({dimensions}),
    created_at timestamptz default current_timestamp,
    updated_at timestamptz default current_timestamp,
    primary key (prefix, key, field_name),
    foreign key (prefix, key) references store (prefix, key) on delete cascade
)
"""


def prepare_vectors(dsn: str, dimensions: int) -> None:
    """As the tables' owner. Raises SettingsError when the vectors that are there have other dimensions, Unreachable."""
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            found = connection.execute(_DIMENSIONS).fetchone()
            if found and found[0] != dimensions:
                raise SettingsError(
                    f"store.index.dims is {dimensions}, but the items that are stored have {found[0]} dimensions",
                    "set it back; or drop table store_vectors, and put the items again",
                )
            if not found:
                connection.execute(_CREATE.format(dimensions=int(dimensions)).encode())
                grant_rights(connection)
    except psycopg.Error as error:
        raise reported(error) from None
