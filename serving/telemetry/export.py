"""Sends the traces of finished runs, read from the log, to Langfuse over OTLP/HTTP. No run ever waits for it.

A run is marked exported after a 2xx. A worker killed between the two sends it again with the same ids, which the
receiver overwrites.
"""

import asyncio
import base64
import gzip
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from graph.events import DELTAS, RunEvent
from serving.addresses import is_web_address
from serving.database import Pool, Row
from serving.errors import SettingsError
from serving.runs.log import event_of
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

CLOUD: Final = "https://cloud.langfuse.com"
_HEADERS: Final = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
# A receiver that says these has something against this one run, not against us.
_BAD_RUN: Final = (400, 413, 422)
_TRY_AGAIN: Final = (408, 425, 429)
_LONGEST_BACKOFF_S: Final = 60.0
_FAREWELL_S: Final = 3.0
# A run that keeps failing steps aside: it may be what the receiver trips over.
_TRIES_IN_A_ROW: Final = 5
_logger = logging.getLogger("trireme.telemetry")

# An advisory lock, not the row's: resuming a run must not wait for a receiver that hangs.
_CLAIM: Final = """
    select run_id::text from (
        select run_id from runs where not exported and finished_at is not null and run_id <> all(%s::uuid[])
        order by finished_at limit 64
    ) waiting
    where pg_try_advisory_xact_lock(7, hashtext(run_id::text)) limit 1
"""
# Read after the lock is held: another exporter may have been done with it a moment before.
_HEADER: Final = """
    select run_id::text, thread_id::text, status, created_at, finished_at, coalesce(request->>'channel', '') as channel
    from runs where run_id = %s and not exported and finished_at is not null
"""
# The deltas are in the answer and the tools' arguments already.
_EVENTS: Final = "select seq, at, body::text from run_events where run_id = %s and kind <> all(%s) order by seq"
# A run that was taken up again meanwhile stays unmarked and goes out whole when it ends.
_MARK: Final = "update runs set exported = true where run_id = %(run_id)s and finished_at = %(finished_at)s"


class ExportFailed(Exception):
    """A run did not go out. `wait_s`: seconds to wait, else a growing backoff; `bad_run`: the fault is this run's."""

    def __init__(self, message: str, wait_s: float | None = None, *, bad_run: bool = False) -> None:
        super().__init__(message)
        self.wait_s, self.bad_run = wait_s, bad_run


def langfuse_target(public_key: str, secret_key: str, base_url: str) -> tuple[str, dict[str, str]] | None:
    """(endpoint, headers) of Langfuse's OTLP ingestion, or None when no key is set.

    Raises SettingsError for one key without the other and for an address that is none. No `base_url` means Langfuse's
    cloud, as in its own SDK.
    """
    if not public_key and not secret_key:
        return None
    if not (public_key and secret_key):
        missing = "LANGFUSE_SECRET_KEY" if public_key else "LANGFUSE_PUBLIC_KEY"
        raise SettingsError(f"{missing} is not set, the other Langfuse key is", "set both, or none to send no traces")
    if not is_web_address(base_url or CLOUD):
        raise SettingsError(
            f"LANGFUSE_BASE_URL is not a web address: {base_url}", "write it as https://langfuse.example"
        )
    token = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
    endpoint = f"{(base_url or CLOUD).rstrip('/')}/api/public/otel/v1/traces"
    return endpoint, {"Authorization": f"Basic {token}", "x-langfuse-ingestion-version": "4"}


def exporter_of(settings: Settings, pool: Pool) -> "TraceExporter | None":
    """The exporter that the settings ask for; None, and nothing is ever sent, when they don't."""
    secret = settings.langfuse_secret_key.get_secret_value() if settings.langfuse_secret_key else ""
    target = langfuse_target(settings.langfuse_public_key, secret, settings.langfuse_base_url)
    return TraceExporter(pool, *target) if target else None


class TraceExporter:
    """A background loop of the worker process. Any number may run: each run goes out through one of them.

    One run a request, so that a run that the receiver can't take holds back no other.
    """

    def __init__(
        self,
        pool: Pool,
        endpoint: str,
        headers: Mapping[str, str],
        *,
        content: bool = True,
        poll_s: float = 2.0,
        backoff_s: float = 1.0,
        refused_s: float = 300.0,
        timeout_s: float = 10.0,
    ) -> None:
        self._pool, self._endpoint, self._headers, self._content = pool, endpoint, dict(headers), content
        self._poll_s, self._backoff_s, self._refused_s, self._timeout_s = poll_s, backoff_s, refused_s, timeout_s
        self._failures = 0
        self._last_said = ""
        self._current = ""
        self._put_off: dict[str, float] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Exports in the background; on leaving sends what ended last, for a worker that lives for one run only."""
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            with suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_S), self._client() as client:
                    await self._drain(client)

    async def run(self) -> None:
        """Exports until cancelled. Failures are logged and tried again; none leaves this function."""
        async with self._client() as client:
            while True:
                await asyncio.sleep(await self._drain(client))

    def _client(self) -> "httpx.AsyncClient":
        import httpx

        return httpx.AsyncClient(headers={**_HEADERS, **self._headers}, timeout=self._timeout_s)

    async def _drain(self, client: "httpx.AsyncClient") -> float:
        """Exports what waits; returns the seconds until it makes sense to look again."""
        try:
            while await self._export_next(client):
                self._recovered()
        except ExportFailed as failure:
            return self._failed(failure)
        except Exception as error:
            # Postgres is away, or a bug: the loop outlives both. The type alone is said, a text may quote content.
            return self._failed(ExportFailed(f"{type(error).__name__} while reading the log"))
        return self._poll_s

    async def _export_next(self, client: "httpx.AsyncClient") -> bool:
        """Exports the run that waits longest; False when none does. Raises ExportFailed."""
        self._current = ""
        async with self._pool.connection() as connection, connection.transaction():
            claimed = await (await connection.execute(_CLAIM, (self._postponed(),))).fetchone()
            if claimed is None:
                return False
            self._current = claimed["run_id"]
            if run := await (await connection.execute(_HEADER, (self._current,))).fetchone():
                events = await (await connection.execute(_EVENTS, (self._current, list(DELTAS)))).fetchall()
                await self._post(client, await self._encoded(run, events))
                await connection.execute(_MARK, run)
        return True

    async def _encoded(self, run: Row, events: Sequence[Row]) -> bytes:
        try:
            return await asyncio.to_thread(_encode, run, events, self._content)
        except Exception as error:
            reason = f"the trace of run {self._current} can't be built ({type(error).__name__})"
            raise ExportFailed(reason, bad_run=True) from None

    async def _post(self, client: "httpx.AsyncClient", body: bytes) -> None:
        import httpx

        try:
            answer = await client.post(self._endpoint, content=body)
        except httpx.HTTPError as error:
            raise ExportFailed(f"{self._endpoint} can't be reached ({type(error).__name__})") from None
        if not answer.is_success:
            raise self._refusal(answer.status_code, answer.headers)

    def _refusal(self, status: int, headers: Mapping[str, str]) -> ExportFailed:
        if status >= 500 or status in _TRY_AGAIN:
            return ExportFailed(f"{self._endpoint} answered {status}", _retry_after(headers))
        if status in _BAD_RUN:
            return ExportFailed(f"{self._endpoint} refused run {self._current} ({status})", bad_run=True)
        if status in (401, 403):
            mend = "check LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_BASE_URL"
            return ExportFailed(f"Langfuse refused the key ({status}): {mend}", self._refused_s)
        return ExportFailed(f"{self._endpoint} answered {status}: check LANGFUSE_BASE_URL", self._refused_s)

    def _postponed(self) -> list[str]:
        now = time.monotonic()
        self._put_off = {run_id: until for run_id, until in self._put_off.items() if until > now}
        return list(self._put_off)

    def _failed(self, failure: ExportFailed) -> float:
        """Logs a failure when it is new; returns the seconds to wait."""
        if str(failure) != self._last_said:
            _logger.warning("action=export_traces failed: %s; runs go on, their traces are tried again", failure)
            self._last_said = str(failure)
        self._failures += 1
        if self._current and (failure.bad_run or self._failures % _TRIES_IN_A_ROW == 0):
            self._put_off[self._current] = time.monotonic() + self._refused_s
        if failure.bad_run:
            return 0.0
        backoff = min(self._backoff_s * 2 ** min(self._failures - 1, 16), _LONGEST_BACKOFF_S)
        return backoff if failure.wait_s is None else failure.wait_s

    def _recovered(self) -> None:
        if self._last_said:
            _logger.warning("action=export_traces works again")
        self._failures, self._last_said = 0, ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    return min(float(value), 10 * _LONGEST_BACKOFF_S) if value.isdigit() else None


def _encode(run: Row, rows: Sequence[Row], content: bool) -> bytes:
    """The run as a gzipped ExportTraceServiceRequest. Runs in a thread, the first call loads the SDK there."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    from serving.telemetry.spans import RunHeader, spans_of

    events = [event for row in rows if (event := _event(row))]
    spans = spans_of(RunHeader(**run), events, content=content, version=_version())
    return gzip.compress(encode_spans(spans).SerializeToString(), compresslevel=5)


def _version() -> str:
    try:
        return version("trireme")
    except PackageNotFoundError:
        return "source"


def _event(row: Row) -> RunEvent | None:
    """None for an event that this version doesn't know: a newer worker wrote it, the rest still makes a trace."""
    try:
        return event_of(row)
    except ValidationError:
        return None
