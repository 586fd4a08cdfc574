"""What one call of the saver writes: rows of our tables, under the fence of its attempt."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.database import Row
from serving.runs.checkpoints.statements import WRITE_ALONE, WRITE_GROUP
from serving.runs.group import Fence, Writing


@dataclass(slots=True, eq=False)
class Entry:
    """Of the group commit. Rows are (columns without body, body)."""

    fence: Fence | None
    checkpoints: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    values: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    items: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    writes: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    done: asyncio.Future[list[Row]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def writing(self) -> Writing:
        return CHECKPOINTS

    @property
    def size(self) -> int:
        return sum(len(body) for table in self._tables() for _, body in table)

    def _tables(self) -> tuple[list[tuple[dict[str, Any], bytes]], ...]:
        return self.checkpoints, self.values, self.items, self.writes


def parameters(entries: Sequence[Entry]) -> dict[str, Any]:
    """The statement's: `rows` as JSON text, `bodies` as an array that the rows point into (from 1)."""
    bodies: list[bytes] = []
    rows: dict[str, list[dict[str, Any]]] = {"entries": [], "checkpoints": [], "values": [], "items": [], "writes": []}
    for number, entry in enumerate(entries):
        fence = entry.fence
        rows["entries"].append({"number": number, "run_id": fence and fence.run_id, "fence": fence and fence.number})
        for name in ("checkpoints", "values", "items", "writes"):
            for columns, body in getattr(entry, name):
                bodies.append(body)
                rows[name].append({**columns, "number": number, "body": len(bodies)})
    return {"rows": orjson.dumps(rows).decode(), "bodies": bodies}


CHECKPOINTS = Writing(WRITE_GROUP, WRITE_ALONE, parameters, repeatable=True)
