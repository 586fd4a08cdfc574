"""Which placeholder stands for which value. A value keeps its placeholder for ever; a number is never used again."""

import os
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from privacy.errors import VaultUnreadable, VaultUnwritable
from privacy.placeholder import Placeholder, parse
from privacy.sealer import Sealer, new_key

_ONE_CASE: Final = frozenset({"EMAIL", "NAME", "PERSON", "LOCATION"})
_UNGROUPED: Final = frozenset({"IBAN", "PHONE", "CREDIT_CARD", "SSN", "NHS", "BANK_ACCOUNT"})


class Vault(Protocol):
    """Sync; safe from several threads. `realm` is "" for a client's vault and "S" for the server's."""

    @property
    def realm(self) -> str: ...

    def placeholder_for(self, kind: str, value: str) -> str:
        """The value's placeholder, made on first sight. Values alike under `normalise` share one."""

    def value_of(self, placeholder: str) -> str | None:
        """The value as it was first seen; None if this vault never made the placeholder, or deleted it."""


def normalise(kind: str, value: str) -> str:
    """What makes two spellings one value: the case of e-mails and names, the grouping of numbers, line breaks; in all
    of these, accents composed or not, and full-width forms."""
    plain = unicodedata.normalize("NFKC", value)
    if kind in _ONE_CASE:
        return " ".join(plain.casefold().split())
    if kind in _UNGROUPED:
        return re.sub(r"[^\w+]", "", plain).upper()
    return value


class MemoryVault:
    """A vault that lives as long as its process: for one-shot runs and tests."""

    def __init__(self, realm: str = "") -> None:
        self.realm = realm
        self._placeholders: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._lock = threading.Lock()

    def placeholder_for(self, kind: str, value: str) -> str:
        key = (kind, normalise(kind, value))
        with self._lock:
            placeholder = self._placeholders.get(key)
            if placeholder is None:
                placeholder = str(Placeholder(kind, self.realm, len(self._values) + 1))
                self._placeholders[key] = placeholder
                self._values[placeholder] = value
        return placeholder

    def value_of(self, placeholder: str) -> str | None:
        return self._values.get(placeholder)


_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    fingerprint BLOB NOT NULL UNIQUE,
    sealed BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS proof (fingerprint BLOB NOT NULL, sealed BLOB NOT NULL);
"""
_WAIT_SECONDS: Final = 30.0


class FileVault:
    """A vault in one SQLite file, its values sealed; the key lies beside it as `<file>.key`. Both have mode 0600.

    Several processes may use it at once. Raises VaultUnreadable (damaged file, missing or wrong key) and
    VaultUnwritable (read-only or full disk, locked for half a minute).
    """

    def __init__(self, path: Path, realm: str = "") -> None:
        self.realm = realm
        self._path = path
        self._lock = threading.Lock()
        with self._clear_errors():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = sqlite3.connect(path, _WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA secure_delete = ON")
            with self._transaction():
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._database.execute(statement)
                self._sealer = self._unlock()

    def placeholder_for(self, kind: str, value: str) -> str:
        fingerprint = self._sealer.fingerprint(kind, normalise(kind, value))
        with self._lock, self._clear_errors():
            number = self._number_of(fingerprint)
            if number is None:
                with self._transaction():
                    number = self._number_of(fingerprint) or self._insert(kind, value, fingerprint)
        return str(Placeholder(kind, self.realm, number))

    def value_of(self, placeholder: str) -> str | None:
        wanted = parse(placeholder)
        if wanted is None or wanted.realm != self.realm:
            return None
        query = "SELECT sealed, fingerprint FROM entry WHERE number = ? AND kind = ?"
        with self._lock, self._clear_errors():
            row = self._database.execute(query, (wanted.number, wanted.kind)).fetchone()
            return self._sealer.open(*row) if row else None

    @property
    def identity(self) -> str:
        """The same for ever for this vault, another for any other; says nothing about what it holds."""
        return self._sealer.fingerprint("", "identity").hex()

    def delete(self, placeholder: str) -> bool:
        """Forgets one value for good; its number stays used. False if the vault doesn't hold it."""
        wanted = parse(placeholder)
        if wanted is None or wanted.realm != self.realm:
            return False
        query = "DELETE FROM entry WHERE number = ? AND kind = ?"
        with self._lock, self._clear_errors():
            return self._database.execute(query, (wanted.number, wanted.kind)).rowcount == 1

    def clear(self) -> int:
        """Forgets every value for good and returns how many there were."""
        with self._lock, self._clear_errors():
            return self._database.execute("DELETE FROM entry").rowcount

    def close(self) -> None:
        self._database.close()

    def _number_of(self, fingerprint: bytes) -> int | None:
        row = self._database.execute("SELECT number FROM entry WHERE fingerprint = ?", (fingerprint,)).fetchone()
        return int(row[0]) if row else None

    def _insert(self, kind: str, value: str, fingerprint: bytes) -> int:
        sealed = self._sealer.seal(value, fingerprint)
        statement = "INSERT INTO entry (kind, fingerprint, sealed) VALUES (?, ?, ?) RETURNING number"
        return int(self._database.execute(statement, (kind, fingerprint, sealed)).fetchone()[0])

    def _unlock(self) -> Sealer:
        """The sealer for the key beside the file, made on first use. Runs inside the file's write lock."""
        key_path = self._path.with_name(f"{self._path.name}.key")
        proof = self._database.execute("SELECT sealed, fingerprint FROM proof").fetchone()
        if proof is None and not key_path.exists():
            _write_key(key_path)
        if not key_path.exists():
            raise VaultUnreadable(f"its key {key_path} is gone: restore the key, or delete the vault")
        sealer = Sealer(key_path.read_bytes())
        if proof is None:
            fingerprint = sealer.fingerprint("proof", "")
            self._database.execute("INSERT INTO proof VALUES (?, ?)", (fingerprint, sealer.seal("", fingerprint)))
        else:
            sealer.open(*proof)
        return sealer

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except VaultUnreadable as error:
            raise VaultUnreadable(f"{self._path}: {error}") from None
        except (sqlite3.OperationalError, OSError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            message = f"the vault {self._path} can't be used now ({reason}): free the disk or choose another folder"
            raise VaultUnwritable(message) from error
        except sqlite3.DatabaseError as error:
            raise VaultUnreadable(f"the vault {self._path} is damaged ({error}): restore it, or delete it") from error


def _write_key(path: Path) -> None:
    """Whole or not at all: written beside its place, then moved there."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(new_key())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
