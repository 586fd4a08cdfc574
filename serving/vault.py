"""The server's vault: values of text that came in unredacted, sealed, in Postgres; and values revealed for one run.

Sync, as detection is: callers use it from a thread.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, LiteralString, Self

import psycopg
from psycopg.errors import ReadOnlySqlTransaction
from psycopg_pool import ConnectionPool

from privacy.sealer import KEY_BYTES, Sealer, new_key
from privacy.vault import normalise
from serving.database import RECONNECT_S
from serving.errors import SettingsError

REALM = "S"

# A statement of its own: the next one sees what was committed while this one waited.
_ALONE: LiteralString = "select pg_advisory_xact_lock(hashtextextended(%(tenant)s, 7))"
_KEEP: LiteralString = """
insert into vault (tenant, scope, placeholder, kind, number, fingerprint, sealed)
select %(tenant)s, '', format('[%%s_S%%s]', %(kind)s::text, next.number), %(kind)s, next.number, %(fingerprint)s,
    %(sealed)s
from (select coalesce(max(number), 0) + 1 as number from vault where tenant = %(tenant)s and scope = '') next
on conflict (tenant, scope, kind, fingerprint) do nothing
"""
_FIND: LiteralString = """
select placeholder from vault
where tenant = %(tenant)s and scope = '' and kind = %(kind)s and fingerprint = %(fingerprint)s
"""
_OPEN: LiteralString = """
select fingerprint, sealed from vault
where tenant = %s and scope = any(%s) and placeholder = %s and (expires_at is null or expires_at > now())
order by scope desc limit 1
"""


def vault_key(setting: str, home: Path) -> bytes:
    """TRIREME_VAULT_KEY when set (a deployment's processes share it), else a file of the home folder, made once."""
    if setting:
        try:
            key = base64.b64decode(setting, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise SettingsError("TRIREME_VAULT_KEY must be 32 bytes in base64", "make one: openssl rand -base64 32")
        return key
    path = home / "server-vault.key"
    fresh = home / f".server-vault.{os.getpid()}"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            fresh.touch(mode=0o600)
            fresh.write_bytes(new_key())
            _link_once(fresh, path)
        key = path.read_bytes()
    except OSError as error:
        hint = "set TRIREME_HOME to a folder you can write to, or TRIREME_VAULT_KEY"
        raise SettingsError(f"can't keep the vault key in {home}: {error.strerror}", hint) from None
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{path} is no vault key: it has {len(key)} bytes", "restore it from a backup")
    return key


def _link_once(fresh: Path, path: Path) -> None:
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    finally:
        fresh.unlink()


class PostgresVault:
    """Satisfies `privacy.vault.Vault`; also `sealed` and `revealed` for values that a person releases to one run."""

    realm = REALM

    def __init__(self, dsn: str, key: bytes, tenant: str = "default") -> None:
        self._pool = ConnectionPool(
            dsn,
            kwargs={"autocommit": True},
            min_size=0,
            max_size=2,
            open=True,
            timeout=5,
            reconnect_timeout=RECONNECT_S,
            check=ConnectionPool.check_connection,
        )
        self._sealer, self._tenant = Sealer(key), tenant

    def of(self, tenant: str) -> Self:
        """Another tenant's, on the same connections."""
        other = object.__new__(type(self))
        other._pool, other._sealer, other._tenant = self._pool, self._sealer, tenant
        return other

    def placeholder_for(self, kind: str, value: str) -> str:
        mark = self._sealer.fingerprint(kind, normalise(kind, value))
        values = {"tenant": self._tenant, "kind": kind, "fingerprint": mark}
        try:
            with self._pool.connection() as connection:
                found = connection.execute(_FIND, values).fetchone()
                if found is None:
                    sealed = self._sealer.seal(value, mark)
                    with connection.pipeline():  # one transaction, sent as one: nobody stops in the middle
                        connection.execute(_ALONE, values)
                        connection.execute(_KEEP, {**values, "sealed": sealed})
                    found = connection.execute(_FIND, values).fetchone()
        except ReadOnlySqlTransaction:
            self._pool.drain()  # as serving/database.py does
            raise
        assert found is not None
        return str(found[0])

    def value_of(self, placeholder: str) -> str | None:
        return self._open(placeholder, [""])

    def sealed(self, run_id: str, values: Mapping[str, str]) -> list[dict[str, Any]]:
        """What a person releases for one run, as rows that are kept with the decision."""
        marks = {each: self._sealer.fingerprint(run_id + each, value) for each, value in values.items()}
        place = {"tenant": self._tenant, "scope": run_id}
        return [
            {**place, "placeholder": each, "fingerprint": mark, "sealed": self._sealer.seal(values[each], mark)}
            for each, mark in marks.items()
        ]

    def revealed(self, run_id: str, placeholder: str) -> str | None:
        """What stands behind a placeholder for this run's tools; None when nobody has released it."""
        return self._open(placeholder, [run_id, ""])

    def close(self) -> None:
        self._pool.close()

    def _open(self, placeholder: str, scopes: list[str]) -> str | None:
        try:
            with self._pool.connection() as connection:
                row = connection.execute(_OPEN, (self._tenant, scopes, placeholder)).fetchone()
        except psycopg.DataError:
            return None
        return self._sealer.open(row[1], row[0]) if row else None
