"""LangGraph's store as one tenant's graphs and callers have it: every namespace lies below the tenant's own."""

import asyncio
from collections.abc import Iterable
from copy import copy
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

from serving.blocking import served_on, wait_for
from serving.database import storage
from serving.items.fenced import written_by
from serving.runs.group import Fence


class ScopedStore(BaseStore):
    """`whole` is the process's store, of all tenants."""

    supports_ttl = True

    def __init__(self, whole: BaseStore, tenant: str) -> None:
        self._whole, self._root = whole, tenant.replace(".", ":")
        self.ttl_config = whole.ttl_config
        self._loop = asyncio.get_running_loop()
        self._fence: Fence | None = None

    def under(self, fence: Fence) -> "ScopedStore":
        """The same for an attempt at a run: it raises FenceLost for a write once another attempt owns the run, and
        StorageLost."""
        own = copy(self)
        own._fence = fence
        return own

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return await served_on(self._loop, self._batch(ops))

    async def _batch(self, ops: Iterable[Op]) -> list[Result]:
        asked = [self._below(op) for op in ops]
        if self._fence is None:
            results = await self._whole.abatch(asked)
        else:
            with storage():
                results = await self._of_attempt(self._fence, asked)
        return [self._above(result) for result in results]

    async def _of_attempt(self, fence: Fence, asked: list[Op]) -> list[Result]:
        """Reading comes first, as it does within a batch of the store, and holds no run's row."""
        results: list[Result] = [None] * len(asked)
        puts = [at for at, op in enumerate(asked) if isinstance(op, PutOp)]
        if others := [at for at, op in enumerate(asked) if not isinstance(op, PutOp)]:
            for at, result in zip(others, await self._whole.abatch([asked[at] for at in others]), strict=True):
                results[at] = result
        if puts:
            with written_by(fence):
                await self._whole.abatch([asked[at] for at in puts])
        return results

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """For nodes that aren't async: they run in threads of their own."""
        return wait_for(self._batch(ops), self._loop, "the store's a-methods: aget, aput, asearch")

    def _below(self, op: Op) -> Op:
        if isinstance(op, GetOp | PutOp):
            return op._replace(namespace=(self._root, *op.namespace))
        if isinstance(op, SearchOp):
            return op._replace(namespace_prefix=(self._root, *op.namespace_prefix))
        assert isinstance(op, ListNamespacesOp)
        conditions = [
            each._replace(path=(self._root, *each.path)) if each.match_type == "prefix" else each
            for each in op.match_conditions or ()
        ]
        mine = MatchCondition("prefix", (self._root,))
        depth = None if op.max_depth is None else op.max_depth + 1
        return op._replace(match_conditions=(mine, *conditions), max_depth=depth)

    def _above(self, result: Any) -> Any:
        if isinstance(result, Item):
            return _moved(result)
        if isinstance(result, list):
            return [_moved(each) if isinstance(each, Item) else each[1:] for each in result]
        return result


def _moved(item: Item) -> Any:
    place, dates = item.namespace[1:], (item.created_at, item.updated_at)
    if isinstance(item, SearchItem):
        return SearchItem(place, item.key, item.value, *dates, score=item.score)
    return Item(namespace=place, key=item.key, value=item.value, created_at=dates[0], updated_at=dates[1])
