"""What leaves: nothing at all without a key, and never a value that redaction took out."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graph.events import BODY, RunEvent, RunFinished
from privacy.detect import Detector
from privacy.redact import Redactor
from privacy.vault import MemoryVault
from serving.database import open_pool
from serving.telemetry.export import TraceExporter, langfuse_target
from tests.integration.telemetry_receiver import exported, receiving, write_run
from tests.unit.telemetry_story import BEGAN, TICK, story

_ROOT = Path(__file__).parents[2]
SEEDS = {"[NAME_1]": "Marta Oblonskaya", "[EMAIL_1]": "marta.oblonskaya@example.com"}
# A worker's exporter in a process of its own, because an audit hook can't be taken off again.
_WATCHED = """
import asyncio, sys
from serving.database import open_pool
from serving.settings import load_settings
from serving.telemetry.export import exporter_of

reached = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        reached.append(event)
sys.addaudithook(watch)

async def exported(pool):
    async with pool.connection() as connection:
        row = await (await connection.execute("select bool_and(exported) as all_are from runs")).fetchone()
    return row["all_are"]

async def main():
    async with open_pool(sys.argv[1], 2) as pool:
        exporter = exporter_of(load_settings(), pool)
        if exporter:
            task = asyncio.create_task(exporter.run())
            while not await exported(pool):
                await asyncio.sleep(0.05)
            task.cancel()
        print(exporter is not None, sorted(set(reached)))

asyncio.run(main())
"""


def seeded() -> list[dict[str, Any]]:
    """The story as it would read without redaction, ended by an exception that quotes a person."""
    try:
        raise ConnectionError(f"550 no such mailbox {SEEDS['[EMAIL_1]']} ({SEEDS['[NAME_1]']})")
    except ConnectionError as error:
        end = RunFinished(status="error", code="tool_failed", message=f"{type(error).__name__}: {error}")
    bodies = [*[event.body for event in story()][:-1], end]
    text = json.dumps([body.model_dump(mode="json") for body in bodies])
    for placeholder, value in SEEDS.items():
        text = text.replace(placeholder, value)
    loaded: list[dict[str, Any]] = json.loads(text)
    return loaded


async def test_no_value_that_redaction_took_out_is_in_the_bytes_that_leave(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    redactor = Redactor(Detector(known=[SEEDS["[NAME_1]"]]), MemoryVault())
    raw = seeded()
    log = [
        RunEvent(seq=n, at=BEGAN + n * TICK, body=BODY.validate_python(redactor.redact_json(body)))
        for n, body in enumerate(raw, 1)
    ]
    write_run(database, events=log, status="error")
    with receiving() as receiver:
        target = langfuse_target("pk", "sk", receiver.base_url)
        assert target
        async with open_pool(database, 2) as pool:
            task = asyncio.create_task(TraceExporter(pool, *target, poll_s=0.02).run())
            while not all(exported(database)):
                await asyncio.sleep(0.02)
            task.cancel()
    sent = receiver.bodies[0].decode("utf-8", "replace")
    assert json.dumps(raw).count("oblonskaya@") >= 7
    assert "oblonskaya" not in (sent + caplog.text).lower()
    assert "Marta" not in sent
    assert redactor.redact(raw[-1]["message"]).startswith("ConnectionError: 550 no such mailbox [EMAIL_")
    assert redactor.redact(raw[-1]["message"]) in sent


@pytest.mark.parametrize("keys", [{}, {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk"}])
def test_nothing_is_sent_and_no_socket_reached_for_without_keys(
    database: str, keys: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(database)
    for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "LANGFUSE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with receiving() as receiver:
        for name, value in (keys | {"LANGFUSE_BASE_URL": receiver.base_url}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", str(_ROOT))
        command = [sys.executable, "-c", _WATCHED, database]
        output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout
    if keys:
        assert output.startswith("True ['socket.connect'")
        assert len(receiver.requests) == 1
    else:
        assert output == "False []\n"
        assert receiver.paths == []
    assert exported(database) == [bool(keys)]
