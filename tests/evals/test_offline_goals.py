"""The offline model's promise: right, cited answers over folders of seven domains, and plain refusals."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.database import open_row_pool
from serving.documents.embed import HashingEmbedder
from serving.documents.store import DocumentStore
from serving.models.offline import OfflineModel
from tests.evals.play import FOLDERS, Played, Table, build, ingest

_REFUSAL = re.compile(r"documents do not (?:say|give)", re.IGNORECASE)


def goals(folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((FOLDERS / folder / "goals.yaml").read_text())
    return found


def complaints(wanted: dict[str, Any], played: Played) -> list[str]:
    """What is wrong with an answer; thousands separators don't matter."""
    said = re.sub(r"(?<=\d),(?=\d{3})", "", played.answer)
    wrong = [f"does not say {pattern!r}" for pattern in wanted.get("says", ()) if not re.search(pattern, said, re.I)]
    wrong += [f"says {pattern!r}" for pattern in wanted.get("never", ()) if re.search(pattern, said, re.I)]
    wrong += [f"does not cite {path}" for path in wanted.get("cites", ()) if path not in played.cited]
    refuses = bool(_REFUSAL.search(said))
    if refuses != wanted.get("refuses", False):
        wrong.append("refuses" if refuses else "does not refuse")
    if effect := wanted.get("effect"):
        made = [str(call.arguments) for call in played.calls if call.name == effect["tool"]]
        wrong += [
            f"{effect['tool']} without {p!r}" for p in effect["matches"] if not any(re.search(p, m) for m in made)
        ]
    return wrong


@pytest.fixture
async def store(database: str) -> AsyncIterator[DocumentStore]:
    pool = open_row_pool(database)
    await pool.open()
    yield DocumentStore(pool, HashingEmbedder())
    await pool.close()


@pytest.mark.parametrize("folder", sorted(path.name for path in FOLDERS.iterdir()))
async def test_every_goal_over_the_folder_is_answered_right_and_cited(
    folder: str, store: DocumentStore, tmp_path: Path
) -> None:
    await ingest(store, build(folder, tmp_path))
    failures = []
    for wanted in goals(folder):
        table = Table(OfflineModel(), store, folder, tmp_path / "outbox")
        played = await table.play(wanted["goal"])
        if wrong := complaints(wanted, played):
            failures.append(f"{wanted['goal']}\n  {'; '.join(wrong)}\n  {played.answer}")
    assert not failures, "\n\n".join([f"{len(failures)} of {len(goals(folder))} goals fail", *failures])
