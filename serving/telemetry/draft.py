"""A span while the log is being read, and how it becomes the SDK's `ReadableSpan`. Imports the OpenTelemetry SDK."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import orjson
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from serving.telemetry import attributes as names

CONTENT_BYTES: Final = 8_192
SERVICE: Final = "trireme"
_CUT: Final = " [cut]"


@dataclass(slots=True)
class Draft:
    """`seq` is the event that opened the span (0: the run itself); times are nanoseconds; `end` is None while open."""

    name: str
    seq: int
    start: int
    parent: "Draft | None" = None
    end: int | None = None
    kind: SpanKind = SpanKind.INTERNAL
    status: Status = field(default_factory=Status)
    attributes: dict[str, Any] = field(default_factory=dict)
    points: list[Event] = field(default_factory=list)

    def fail(self, error_type: str, description: str) -> None:
        self.attributes[names.ERROR_TYPE] = error_type
        self.status = Status(StatusCode.ERROR, description or error_type)


def seal(drafts: Sequence[Draft], run_id: str, version: str, shared: Mapping[str, Any]) -> list[ReadableSpan]:
    """The spans of one trace: root first, then by start. `shared` goes onto every span, as Langfuse asks for it."""
    resource = Resource({names.SERVICE_NAME: SERVICE, names.SERVICE_VERSION: version})
    scope = InstrumentationScope(SERVICE, version)
    return [
        ReadableSpan(
            draft.name,
            context=_context(run_id, draft),
            parent=_context(run_id, draft.parent) if draft.parent else None,
            resource=resource,
            attributes={**shared, **draft.attributes},
            events=draft.points,
            kind=draft.kind,
            status=draft.status,
            start_time=draft.start,
            end_time=draft.end,
            instrumentation_scope=scope,
        )
        for draft in sorted(drafts, key=lambda draft: (draft.parent is not None, draft.start, draft.seq))
    ]


def _context(run_id: str, draft: Draft) -> SpanContext:
    digest = blake2b(f"{run_id}/{draft.name}/{draft.seq}".encode(), digest_size=8).digest()
    span_id = int.from_bytes(digest, "big")
    return SpanContext(uuid.UUID(run_id).int, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def nanoseconds(at: datetime) -> int:
    # Not timestamp() * 1e9: a float loses the microseconds.
    whole = int(at.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + at.microsecond * 1_000


def cut(text: str) -> str:
    """`text` in at most CONTENT_BYTES of UTF-8; says so where it is cut."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= CONTENT_BYTES:
        return raw.decode()
    return raw[: CONTENT_BYTES - len(_CUT)].decode("utf-8", "ignore") + _CUT


def as_json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
