"""What a webhook is told: the run as its caller would see it, and the values that its thread was left with."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, LiteralString

import orjson

from privacy.redact import Redactor
from serving.database import Pool, Row, fetch_one
from serving.hosting.config import is_hosted
from serving.runs.shown import shown_run
from serving.runs.store import RunStore

_END: LiteralString = """
select body from run_events where run_id = %s and kind = 'run_finished' order by seq desc limit 1
"""
_TIMES: Final = {"run_started_at": "started_at", "run_ended_at": "finished_at"}


class Messages:
    def __init__(self, pool: Pool, runs: RunStore, redactor: Redactor) -> None:
        """Of one tenant."""
        self._pool, self._runs, self._redactor = pool, runs, redactor

    async def of_run(self, run_id: str, left: Any) -> str:
        """JSON: the run's object in its caller's vocabulary, with `type`, and `values`: what its thread was `left`
        with, which a later run has maybe changed since; a hosted graph's go as they are. Raises NotFound."""
        row = await self._runs.row(run_id)
        end = await fetch_one(self._pool, _END, (row["run_id"],))
        told = {**_shown(row), "error": _error(end["body"] if end else {})}
        if is_hosted(row["graph"]):
            return _text({**told, "values": left})
        view = await self._runs.get(run_id)
        told = told if row["assistant_id"] else view.model_dump(mode="json")
        told["values"] = left or {"answer": view.answer}
        return _text(await asyncio.to_thread(self._redactor.restore_json, told))


def _shown(row: Row) -> dict[str, Any]:
    times = {name: row[column].isoformat() for name, column in _TIMES.items() if row[column]}
    return {**shown_run(row), **times}


def _error(end: Mapping[str, Any]) -> dict[str, Any] | None:
    failed = end.get("status", "success") != "success"
    return {"error": end["code"], "message": end["message"]} if failed else None


def _text(told: dict[str, Any]) -> str:
    return orjson.dumps({"type": "run.ended", **told}).decode()
