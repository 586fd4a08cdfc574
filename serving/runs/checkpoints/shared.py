"""What many checkpoints have in common: each value and item is read, verified and decoded once for all of them."""

from collections.abc import Iterable
from typing import Any, LiteralString, TypeAlias

import orjson

from serving.database import Connections, Row
from serving.runs.checkpoints.reading import Reader, missing
from serving.runs.checkpoints.statements import READ_ITEMS, READ_VALUES

_Value: TypeAlias = tuple[str, str, str, str]  # thread, namespace, channel, version
_List: TypeAlias = tuple[str, str, str, int]  # thread, namespace, channel, epoch


class SharedParts:
    def __init__(self, pool: Connections, tenant: str, reader: Reader) -> None:
        self._pool, self._tenant, self._reader = pool, tenant, reader
        self._values: dict[_Value, Any] = {}
        self._items: dict[_List, list[Any]] = {}

    async def load(self, rows: Iterable[Row]) -> None:
        """What these refer to and isn't there yet; a list that grew as far as the longest of them."""
        values: set[_Value] = set()
        lists: dict[_List, int] = {}
        for row in rows:
            place, refs = (row["thread_id"], row["namespace"]), orjson.loads(row["refs"])
            values |= {(*place, channel, version) for channel, version in refs.get("values", {}).items()}
            for channel, (epoch, length) in refs.get("items", {}).items():
                of = (*place, channel, epoch)
                lists[of] = max(lists.get(of, 0), length)
        if new := values - self._values.keys():
            await self._load_values(sorted(new))
        if longer := {of: length for of, length in lists.items() if length > len(self._items.get(of, ()))}:
            await self._load_items(longer)

    def value(self, row: Row, channel: str, version: str) -> Any:
        try:
            return self._values[row["thread_id"], row["namespace"], channel, version]
        except KeyError:
            raise missing(row, channel) from None

    def items(self, row: Row, channel: str, epoch: int, length: int) -> list[Any]:
        found = self._items.get((row["thread_id"], row["namespace"], channel, epoch), [])[:length]
        if len(found) != length:
            raise missing(row, channel)
        return found

    async def _load_values(self, keys: list[_Value]) -> None:
        thread, namespace, channel, version = zip(*keys, strict=True)
        wanted = {"thread": thread, "namespace": namespace, "channel": channel, "version": version}
        for row in await self._rows(READ_VALUES, wanted):
            of = (row["thread_id"], row["namespace"], row["channel"], row["version"])
            self._values[of] = self._reader.value(row)

    async def _load_items(self, lengths: dict[_List, int]) -> None:
        thread, namespace, channel, epoch = zip(*lengths, strict=True)
        wanted = {"thread": thread, "namespace": namespace, "channel": channel, "epoch": epoch}
        for of in lengths:
            self._items[of] = []
        for row in await self._rows(READ_ITEMS, {**wanted, "length": lengths.values()}):
            items = self._items[row["thread_id"], row["namespace"], row["channel"], row["epoch"]]
            if row["position"] == len(items):  # else one before it is missing, which `items` tells
                items += self._reader.items(row)

    async def _rows(self, query: LiteralString, wanted: dict[str, Any]) -> list[Row]:
        arrays = {name: list(column) for name, column in wanted.items()}
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, {**arrays, "tenant": self._tenant}, binary=True)).fetchall()
