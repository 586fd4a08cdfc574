"""Node and packages from npm, for the clients that are written in JavaScript."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

_OLDEST: Final = 20
_UNREACHABLE: Final = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)\b")


def node_with(packages: Path) -> str:
    """Node, with the packages of the folder's package-lock.json in it. Skips where there is none, or no network."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        pytest.skip(f"there is no node and npm here: Node {_OLDEST} or later is needed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").partition(".")[0]) < _OLDEST:
        pytest.skip(f"Node {_OLDEST} or later is needed, here is {version}")
    _install(npm, packages)
    return node


def _install(npm: str, packages: Path) -> None:
    """Fetches nothing when what is there is what the lock says, which stays as it is."""
    lock, there = packages / "package-lock.json", packages / "node_modules" / ".package-lock.json"
    if there.exists() and there.stat().st_mtime >= lock.stat().st_mtime:
        return
    # `npm ci` wants every system's own packages in the lock, which has those of one.
    command = [npm, "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode and (unreachable := _UNREACHABLE.search(done.stderr)):
        pytest.skip(f"npm can't fetch the packages: {unreachable[0]}")
    assert done.returncode == 0, done.stderr


def run_tests(
    node: str, where: Path, files: Sequence[str], environment: Mapping[str, str], concurrency: int = 1
) -> None:
    """Node's own test runner; what fails is shown as it shows it."""
    command = [node, "--test", f"--test-concurrency={concurrency}", "--test-reporter=spec", *files]
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=600, check=False)
    _, _, failures = done.stdout.partition("failing tests:")
    assert done.returncode == 0, failures or done.stdout + done.stderr
