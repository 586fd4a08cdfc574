"""langgraph_sdk's cache, as it is documented."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from serving.hosting.cache import Cache, Cached
from serving.keys.identity import WORKS_FOR


@pytest.fixture(autouse=True)
def of_acme() -> Iterator[None]:
    before = WORKS_FOR.set("acme")
    yield
    WORKS_FOR.reset(before)


class Harbour(BaseModel):
    name: str


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Loader:
    """Gives 1, 2, 3 and so on."""

    calls = 0

    async def __call__(self) -> Any:
        self.calls += 1
        return self.calls


async def asked(cache: Cache, loader: Any, model: Any = None) -> Cached:
    ages = {"fresh_for": timedelta(seconds=10), "max_age": timedelta(seconds=100)}
    return await cache.swr("key", loader, **ages, model=model)


async def test_a_value_is_fresh_then_stale_then_expired() -> None:
    clock, loader = Clock(), Loader()
    cache = Cache(clock)
    told = []
    for clock.now in (0.0, 9.0, 11.0, 12.0, 200.0):
        found = await asked(cache, loader)
        told.append((found.status, found.value))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert told == [("miss", 1), ("fresh", 1), ("stale", 1), ("fresh", 2), ("expired", 3)]


async def test_no_tenant_has_what_another_keeps_under_that_key() -> None:
    cache, loader = Cache(), Loader()
    await cache.set("key", "acme's")
    WORKS_FOR.set("globex")
    assert (await cache.get("key"), (await asked(cache, loader)).value) == (None, 1)
    WORKS_FOR.set("acme")
    assert await cache.get("key") == "acme's"


async def test_an_age_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="max_age"):
        await Cache().swr("key", Loader(), fresh_for=timedelta(), max_age=timedelta())


async def test_a_value_is_set_or_loaded_anew_on_request() -> None:
    cache, loader = Cache(), Loader()
    found = await asked(cache, loader)
    assert (await found.mutate(41), await cache.get("key")) == (41, 41)
    assert (await found.mutate(), await cache.get("key"), found.value) == (2, 2, 2)


async def test_models_are_kept_as_json() -> None:
    async def load() -> dict[str, str]:
        return {"name": "Piraeus"}

    cache = Cache()
    first, second = await asked(cache, load, Harbour), await asked(cache, load, Harbour)
    assert (first.value, second.value) == (Harbour(name="Piraeus"), Harbour(name="Piraeus"))
    assert await cache.get("key") == {"name": "Piraeus"}
    with pytest.raises(TypeError):
        await cache.set("key", object())


async def test_no_value_is_kept_longer_than_it_may() -> None:
    clock = Clock()
    cache = Cache(clock)
    await cache.set("short", 1, timedelta(seconds=5))
    await cache.set("long", 1, timedelta(days=30))
    clock.now = 6.0
    assert (await cache.get("short"), await cache.get("long")) == (None, 1)
    clock.now = 24 * 3600 + 1.0
    assert await cache.get("long") is None
