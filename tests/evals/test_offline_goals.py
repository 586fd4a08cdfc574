"""The offline model's promise: right, cited answers over folders of nine domains, and plain refusals.

A goal with `known_miss` is one that it doesn't reach, by a refusal or a wrong answer; reaching it, the mark goes.
"""

import re
from collections import Counter
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


def outcome(wanted: dict[str, Any], played: Played) -> str:
    """`right`, `refused` where there is an answer, or `wrong`."""
    if not complaints(wanted, played):
        return "right"
    return "refused" if _REFUSAL.search(played.answer) and not wanted.get("refuses") else "wrong"


@pytest.mark.parametrize("folder", sorted(path.name for path in FOLDERS.iterdir()))
async def test_every_goal_over_the_folder_is_answered_right_and_cited_or_missed_as_known(
    folder: str, store: DocumentStore, tmp_path: Path
) -> None:
    await ingest(store, build(folder, tmp_path))
    surprises, counts = [], Counter[str]()
    for wanted in goals(folder):
        table = Table(OfflineModel(), store, folder, tmp_path / "outbox")
        played = await table.play(wanted["goal"])
        found = outcome(wanted, played)
        counts[found] += 1
        if found != wanted.get("known_miss", "right"):
            why = "; ".join(complaints(wanted, played))
            surprises.append(f"{wanted['goal']}\n  {found}: {why}\n  {played.answer}")
    print(f"{folder}: {counts['right']} right, {counts['refused']} refused, {counts['wrong']} wrong")
    assert not surprises, "\n\n".join([f"{len(surprises)} of {counts.total()} goals surprise", *surprises])


def test_most_goals_are_reached_and_misses_are_refusals() -> None:
    every = [wanted for path in FOLDERS.iterdir() for wanted in goals(path.name)]
    missed = Counter(wanted["known_miss"] for wanted in every if "known_miss" in wanted)
    assert missed.total() <= 0.25 * len(every)
    assert missed["wrong"] <= 0.25 * missed["refused"]
