"""What a webhook is told: the run as its caller would see it, and the values that its thread was left with."""

import asyncio
from typing import Any, Final, LiteralString

import orjson

from privacy.redact import Redactor
from serving.database import Pool, Row, fetch_one
from serving.hosting.config import is_hosted
from serving.runs.shown import shown_run
from serving.runs.store import RunStore

_LEFT: LiteralString = "select values, error from threads where thread_id = %s"
_TIMES: Final = {"run_started_at": "started_at", "run_ended_at": "finished_at"}


class Messages:
    def __init__(self, pool: Pool, runs: RunStore, redactor: Redactor) -> None:
        """Of one tenant."""
        self._pool, self._runs, self._redactor = pool, runs, redactor

    async def of_run(self, run_id: str) -> str:
        """JSON: the run's object in its caller's vocabulary, with `type` and `values`. A hosted graph's values are its
        own, and go as they are. Raises NotFound."""
        row = await self._runs.row(run_id)
        thread = await fetch_one(self._pool, _LEFT, (row["thread_id"],))
        left = thread or {"values": None, "error": None}
        if is_hosted(row["graph"]):
            return _text({**_shown(row), **left})
        view = await self._runs.get(run_id)
        values = left["values"] or {"answer": view.answer}
        told = {**_shown(row), **left} if row["assistant_id"] else view.model_dump(mode="json")
        return _text(await asyncio.to_thread(self._redactor.restore_json, {**told, "values": values}))


def _shown(row: Row) -> dict[str, Any]:
    times = {name: row[column].isoformat() for name, column in _TIMES.items() if row[column]}
    return {**shown_run(row), **times}


def _text(told: dict[str, Any]) -> str:
    return orjson.dumps({"type": "run.ended", **told}).decode()
