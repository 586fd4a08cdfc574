"""LangGraph's public conformance suite over our saver: every capability that it knows, none skipped."""

from collections.abc import AsyncIterator

import pytest

from serving.database import open_pool
from serving.runs.checkpoints import PostgresSaver

conformance = pytest.importorskip("langgraph.checkpoint.conformance")

_CAPABILITIES = {
    "put",
    "put_writes",
    "get_tuple",
    "list",
    "delete_thread",
    "delete_for_runs",
    "copy_thread",
    "prune",
}


async def test_the_public_conformance_suite_passes_with_every_capability(database: str) -> None:
    async def fresh() -> AsyncIterator[PostgresSaver]:
        async with open_pool(database) as pool:
            yield PostgresSaver(pool, key=b"k" * 32)

    report = await conformance.validate(conformance.checkpointer_test(name="trireme")(fresh))
    assert report.results.keys() == _CAPABILITIES
    assert {name: result.failures for name, result in report.results.items() if not result.passed} == {}
    assert sum(result.tests_passed for result in report.results.values()) >= 70
