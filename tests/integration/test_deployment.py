"""All processes of a deployment have one key: one with another could open neither vault nor checkpoints."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.database import open_pool
from serving.deployment import require_same_key
from serving.errors import SettingsError
from serving.vault import vault_key
from tests.acceptance.processes import wait_until

KEY = base64.b64encode(b"k" * 32).decode()


async def test_a_process_with_another_key_is_told_so(database: str) -> None:
    async with open_pool(database) as pool:
        await asyncio.gather(*(require_same_key(pool, b"k" * 32) for _ in range(5)))
        with pytest.raises(SettingsError, match="TRIREME_VAULT_KEY"):
            await require_same_key(pool, b"other" * 8)
        await require_same_key(pool, b"k" * 32)
        async with pool.connection() as connection:
            rows = await (await connection.execute("select key_mark from deployment")).fetchall()
    assert len(rows) == 1
    assert b"k" * 32 not in rows[0]["key_mark"]


def _told(process: str, dsn: str, home: Path, key: str = KEY) -> tuple[int, str]:
    """Exit code and what a process says that can't start, on the deployment of `KEY`."""
    environment = {"DATABASE_URL": dsn, "TRIREME_HOME": str(home), "TRIREME_VAULT_KEY": key, "TRIREME_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "serving", process],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("process", ["serve", "worker"])
async def test_a_process_that_cannot_start_says_why_in_one_line(database: str, tmp_path: Path, process: str) -> None:
    async with open_pool(database) as pool:
        await require_same_key(pool, base64.b64decode(KEY))
    code, said = _told(process, database, tmp_path, base64.b64encode(b"o" * 32).decode())
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith("trireme: this process has another vault key than the deployment")


@pytest.mark.parametrize("process", ["serve", "worker"])
def test_a_process_that_still_loads_ends_at_once_when_it_is_told_to(tmp_path: Path, process: str) -> None:
    settings = {"DATABASE_URL": "postgresql:///none", "TRIREME_HOME": str(tmp_path), "TRIREME_PARENT": str(os.getpid())}
    command = [sys.executable, "-m", "serving", process, *(["--port", "0"] if process == "serve" else [])]
    loading = subprocess.Popen(command, env=os.environ | settings, stdin=subprocess.PIPE)
    try:  # it imports, which nothing interrupts, and then waits for the end of its stdin, which never comes
        assert wait_until(lambda: "_sqlite3" in Path(f"/proc/{loading.pid}/maps").read_text())
        loading.terminate()
        assert loading.wait(20) == -signal.SIGTERM
    finally:
        loading.kill()
        loading.communicate()


def test_a_key_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "server-vault.key").write_bytes(b"short")
    with pytest.raises(SettingsError, match=r"server-vault\.key is no vault key: it has 5 bytes"):
        vault_key("", tmp_path)


def test_a_worker_whose_home_cannot_be_written_says_so(database: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = _told("worker", database, tmp_path / "file" / "home")
    assert (code, said.count("\n")) == (2, 1), said
    assert "set TRIREME_HOME to a folder you can write to" in said
