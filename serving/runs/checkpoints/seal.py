"""A row's content bound to its place: tenant, thread, namespace, and which checkpoint, value, items or write it is."""

import hmac
from typing import Literal

import ormsgpack

from serving.runs.checkpoints.errors import CheckpointRefused

_BYTES = 16
RowKind = Literal["checkpoint", "value", "items", "write"]


class Seal:
    """HMAC-SHA256 of place and content, cut to 128 bit, in front of the content.

    With an empty key a row put into another place by mistake is noticed, one forged on purpose is not.
    """

    def __init__(self, key: bytes, tenant: str) -> None:
        self._key = hmac.digest(key, b"trireme checkpoints 1", "sha256")
        self._tenant = tenant

    def close(self, kind: RowKind, place: tuple[str | int | None, ...], content: bytes) -> bytes:
        return self._mark(kind, place, content) + content

    def open(self, kind: RowKind, place: tuple[str | int | None, ...], sealed: bytes) -> bytes:
        """Raises CheckpointRefused when the row is another tenant's or thread's, was moved, or was changed."""
        content = sealed[_BYTES:]
        if not hmac.compare_digest(self._mark(kind, place, content), sealed[:_BYTES]):
            raise CheckpointRefused(
                f"a stored {kind} of thread {place[0]} was changed or belongs elsewhere: it is not read",
                "restore it from a backup, or start a new thread; a worker on another machine needs the same vault key",
            )
        return content

    def _mark(self, kind: RowKind, place: tuple[str | int | None, ...], content: bytes) -> bytes:
        bound = ormsgpack.packb([kind, self._tenant, *place])
        return hmac.digest(self._key, bound + content, "sha256")[:_BYTES]
