"""Memory in processes of its own: it survives a restart, stays quiet and light, and leaves no file behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_RUN = """
import asyncio, json, sys
from pathlib import Path

FORBIDDEN = {
    "socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.system", "os.posix_spawn",
    "sqlite3.connect",
}
seen = []

def watch(event, arguments):
    if event in FORBIDDEN:
        seen.append([event, str(arguments)])
        if event != "sqlite3.connect" or arguments[0] != ":memory:":
            raise PermissionError(event)

sys.addaudithook(watch)

from memory.long_term import LongTermMemory
from memory.store import MemoryStore
from privacy.redact import from_record
from serving.documents.embed import HashingEmbedder

async def run(dsn, home, goal):
    before = set(sys.modules)
    embedder = HashingEmbedder()
    store = MemoryStore(dsn, embedder.embed, embedder.dimensions, Path(home))
    lazy = "mem0" not in sys.modules
    memory = LongTermMemory(store)
    recalled = await memory.recall(from_record(goal))
    proposed = await memory.propose(from_record(goal), "run:1")
    found = await store.search(from_record(goal), 5)
    await store.close()
    print(json.dumps({
        "recalled": [item.text for item in recalled],
        "proposed": [item.text for item in proposed],
        "found": len(found),
        "lazy": lazy,
        "seen": seen,
        "loaded": sorted(name for name in set(sys.modules) - before if "." not in name),
    }))

asyncio.run(run(*sys.argv[1:]))
"""


def run(database: str, home: Path, goal: str) -> dict[str, Any]:
    """One run in a fresh interpreter that has none of our settings and whose HOME is `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEM0", "OPENAI"))}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", _RUN, database, str(home), goal],
        env={**kept, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_statement_survives_the_process_that_heard_it(database: str, tmp_path: Path) -> None:
    first = run(database, tmp_path, "I always want amounts in EUR. What is the total for March?")
    assert first["recalled"] == []
    assert first["proposed"] == ["I always want amounts in EUR."]
    assert first["found"] == 1
    _is_quiet_and_light(first, tmp_path)
    second = run(database, tmp_path, "Which orders are late?")
    assert second["recalled"] == ["I always want amounts in EUR."]
    assert second["proposed"] == []


def _is_quiet_and_light(result: dict[str, Any], home: Path) -> None:
    """No socket, no process, no text in a file; mem0 comes late, and without clients that it doesn't use."""
    assert result["seen"] == [["sqlite3.connect", "(':memory:',)"]]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [path.relative_to(home).as_posix() for path in files] == ["mem0/config.json"]
    assert b"amounts" not in files[0].read_bytes()
    assert result["lazy"] is True
    assert "mem0" in result["loaded"]
    assert not {"qdrant_client", "posthog", "openai", "spacy", "grpc", "litellm"} & set(result["loaded"])
