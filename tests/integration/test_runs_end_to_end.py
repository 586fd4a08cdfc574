"""The worker as `trireme worker` composes it, the offline model, a small collection: a goal becomes a cited answer."""

import asyncio
from pathlib import Path

import pytest

from privacy.redact import from_record
from serving.api.stream import Tails
from serving.database import open_row_pool
from serving.documents.document import ParsedDocument
from serving.documents.embed import HashingEmbedder
from serving.documents.parse import read_folder
from serving.documents.store import DocumentStore
from serving.runs.notices import LOG_CHANNEL, listen
from serving.runs.requests.request import RunRequest
from serving.runs.store import RunStore
from serving.runs.view import RunView
from serving.settings import Settings
from serving.wiring import open_worker
from tests.integration.run_house import House

COLLECTION = "harbour"
FILES = {
    "fees.md": "# Fees\n\n## Berths\nA berth costs 48 EUR a night. Residents pay 31 EUR.\n",
    "rules/speed.txt": "Speed\n\nThe speed limit in the harbour is 3 knots.\n",
    "boats.csv": "boat,owner,metres\nAlma,Kai,9\nBerta,Lin,12\nCora,Kai,7\n",
}


@pytest.fixture
def settings(runs_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENAI_BASE_URL", "TRIREME_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return Settings(home=tmp_path, DATABASE_URL=runs_database)


@pytest.fixture
async def collection(runs_database: str, tmp_path: Path) -> str:
    folder = tmp_path / "documents"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    parsed = [document for document in read_folder(folder) if isinstance(document, ParsedDocument)]
    async with open_row_pool(runs_database) as rows:
        stored = [document.redacted(from_record) for document in parsed]
        await DocumentStore(rows, HashingEmbedder()).put(COLLECTION, stored)
    return COLLECTION


async def ask(store: RunStore, tails: Tails, goal: str) -> RunView:
    view, _ = await store.create(RunRequest(goal=goal, collection=COLLECTION))
    lines = [line async for page in tails.follow(view.run_id) if page for line in page.lines]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["kind"] == "run_finished"
    return await store.get(view.run_id)


async def test_goals_become_cited_answers(house: House, settings: Settings, collection: str) -> None:
    store, tails = house.store, Tails(house.pool)
    async with open_worker(settings) as worker:
        parts = [house.notices.serve(), listen(house.dsn, {LOG_CHANNEL: tails.heard}), tails.serve(), worker.serve()]
        tasks = [asyncio.create_task(part) for part in parts]
        async with asyncio.timeout(40):
            speed = await ask(store, tails, "What is the speed limit in the harbour?")
            boats = await ask(store, tails, "How many boats does Kai own, and what does a berth cost a night?")
            nothing = await ask(store, tails, "Who is the harbour master's dentist?")
        worker.drain()
        await tasks[-1]
        for task in tasks[:-1]:
            task.cancel()
        for view in (speed, boats, nothing):
            assert (view.status, view.error, view.partial, view.model) == ("success", None, False, "offline")
            assert view.verdict is not None
            assert view.cost_usd == 0
    assert "3 knots" in (speed.answer or "")
    assert [source.path for source in speed.sources] == ["rules/speed.txt"]
    assert speed.cached_share > 0.3, "the roles share a prefix"
    assert "2" in (boats.answer or "")
    assert "48" in (boats.answer or "")
    assert {source.path for source in boats.sources} == {"boats.csv", "fees.md"}
    assert nothing.sources == ()
