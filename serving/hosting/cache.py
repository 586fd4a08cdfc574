"""langgraph_sdk's cache for hosted code, in this process's memory: another process, or a new one, loads for itself.
Each tenant has its own: what code loads of its server, or of elsewhere for who asks, is that tenant's."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from langgraph_sdk.cache import CacheStatus, SWRResult
from pydantic import BaseModel

from serving.keys.identity import tenant_at_work

_LONGEST: Final = timedelta(days=1)
_MOST: Final = 10_000  # entries; the oldest go first
_Place = tuple[str, str]  # tenant, key
Loader = Callable[[], Awaitable[Any]]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    """JSON, so that nobody changes what others have."""

    text: str
    since: float
    until: float


class Cache:
    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._entries: dict[_Place, _Entry] = {}
        self._refreshing: dict[_Place, asyncio.Task[Any]] = {}
        self._now = now

    async def get(self, key: str) -> Any | None:
        entry = self._entry(key)
        return json.loads(entry.text) if entry else None

    async def set(self, key: str, value: Any, ttl: timedelta | None = None) -> None:
        """At most a day, and for a day where `ttl` says nothing. Raises TypeError for what is no JSON."""
        text, lasts = json.dumps(value), min(ttl or _LONGEST, _LONGEST)
        now = self._now()
        place = (tenant_at_work(), key)
        self._entries.pop(place, None)
        self._entries[place] = _Entry(text, now, now + lasts.total_seconds())
        while len(self._entries) > _MOST:
            self._entries.pop(next(iter(self._entries)), None)

    async def swr(
        self, key: str, loader: Loader, *, fresh_for: timedelta, max_age: timedelta, model: Any = None
    ) -> "Cached":
        """Stale while revalidated: what is younger than `max_age` is given at once, and loaded anew behind that unless
        it is younger than `fresh_for`. Raises ValueError for a `max_age` of nothing, and what the loader raises."""
        if max_age <= timedelta():
            raise ValueError("max_age must be more than nothing")
        load = _Load(self, key, loader, model)
        entry = self._entry(key)
        if entry is None:
            return Cached(await load(), "miss", load)
        age = self._now() - entry.since
        if age >= min(max_age, _LONGEST).total_seconds():
            return Cached(await load(), "expired", load)
        fresh = age < fresh_for.total_seconds()
        if not fresh:
            self._refresh(key, load)
        return Cached(load.read(json.loads(entry.text)), "fresh" if fresh else "stale", load)

    def _entry(self, key: str) -> _Entry | None:
        entry = self._entries.get((tenant_at_work(), key))
        return entry if entry and self._now() < entry.until else None

    def _refresh(self, key: str, load: "_Load") -> None:
        """One at a time for each key."""
        place = (tenant_at_work(), key)
        if place not in self._refreshing:
            task = self._refreshing[place] = asyncio.create_task(load())
            task.add_done_callback(lambda done: self._refreshed(place, done))

    def _refreshed(self, place: _Place, done: "asyncio.Task[Any]") -> None:
        self._refreshing.pop(place, None)
        if not done.cancelled() and (error := done.exception()):
            log.warning("action=refresh_cache error=%s outcome=old_value_kept", type(error).__name__)


@dataclass(frozen=True, slots=True)
class _Load:
    """How a key's value comes anew."""

    cache: Cache
    key: str
    loader: Loader
    model: Any

    async def __call__(self) -> Any:
        return await self.keep(await self.loader())

    async def keep(self, value: Any) -> Any:
        await self.cache.set(self.key, value.model_dump(mode="json") if isinstance(value, BaseModel) else value)
        return value if isinstance(value, BaseModel) else self.read(value)

    def read(self, value: Any) -> Any:
        return self.model.model_validate(value) if self.model else value


class Cached(SWRResult[Any]):  # type: ignore[misc]  # Any, where the vendor's package is missing
    """As the SDK documents it."""

    def __init__(self, value: Any, status: CacheStatus, load: _Load) -> None:
        self.value, self.status, self._load = value, status, load

    async def mutate(self, value: Any = ...) -> Any:
        self.value = await (self._load() if value is ... else self._load.keep(value))
        return self.value


CACHE: Final = Cache()
