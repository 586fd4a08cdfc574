"""The vault in a file: several processes, bad keys, bad disks."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from privacy.detect import Detector
from privacy.errors import VaultUnreadable, VaultUnwritable
from privacy.redact import Redactor
from privacy.vault import FileVault

ROOT = Path(__file__).parents[2]
COUNT = """
import sys
from pathlib import Path
from privacy.vault import FileVault
print("ready", flush=True)
sys.stdin.readline()
vault = FileVault(Path(sys.argv[1]))
for number in range(100):
    value = f"p{number}@example.com"
    print(value, vault.placeholder_for("EMAIL", value))
"""
FULL_DISK = """
import resource, sys
from pathlib import Path
from privacy.errors import VaultUnwritable
from privacy.vault import FileVault
vault = FileVault(Path(sys.argv[1]))
known = vault.placeholder_for("EMAIL", "jane@example.com")
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    vault.placeholder_for("EMAIL", "joe@example.com")
except VaultUnwritable as error:
    print(error)
print(vault.value_of(known))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(vault.placeholder_for("EMAIL", "joe@example.com"))
"""


def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def finish(process: "subprocess.Popen[str]") -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "vault.db"


def test_a_value_keeps_its_placeholder_over_processes_and_runs(path: Path) -> None:
    first = FileVault(path)
    placeholder = first.placeholder_for("EMAIL", "Jane@example.com")
    first.close()
    second = FileVault(path)
    assert second.placeholder_for("EMAIL", "jane@EXAMPLE.com") == placeholder
    assert second.value_of(placeholder) == "Jane@example.com"


def test_processes_that_number_at_once_agree_and_use_no_number_twice(path: Path) -> None:
    processes = [start(COUNT, path) for _ in range(4)]
    assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 4
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    pairs = {tuple(line.split()) for process in processes for line in finish(process).splitlines()}
    assert len(pairs) == 100
    assert len({placeholder for _, placeholder in pairs}) == 100
    vault = FileVault(path)
    assert all(vault.value_of(placeholder) == value for value, placeholder in pairs)


def test_file_and_key_are_the_owners_alone_and_hold_nothing_in_clear(path: Path) -> None:
    vault = FileVault(path)
    vault.placeholder_for("EMAIL", "jane@example.com")
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["vault.db", "vault.db.key"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    assert not any(b"jane" in file.read_bytes() or b"example" in file.read_bytes() for file in files)


def test_another_key_is_refused_before_anything_is_written(path: Path) -> None:
    FileVault(path).placeholder_for("EMAIL", "jane@example.com")
    key = path.with_name("vault.db.key")
    key.write_bytes(os.urandom(32))
    with pytest.raises(VaultUnreadable, match=r"vault\.db: .*the key is another vault's"):
        FileVault(path)


def test_a_damaged_key_is_refused(path: Path) -> None:
    FileVault(path)
    path.with_name("vault.db.key").write_bytes(b"half")
    with pytest.raises(VaultUnreadable, match="32 bytes, not 4"):
        FileVault(path)


def test_a_lost_key_is_not_replaced_by_a_new_one(path: Path) -> None:
    FileVault(path)
    path.with_name("vault.db.key").unlink()
    with pytest.raises(VaultUnreadable, match="is gone: restore the key"):
        FileVault(path)
    assert not path.with_name("vault.db.key").exists()


def test_a_damaged_file_is_named(path: Path) -> None:
    FileVault(path).close()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(VaultUnreadable, match=r"vault\.db is damaged"):
        FileVault(path)


def test_an_entry_that_was_changed_in_the_file_does_not_open(path: Path) -> None:
    vault = FileVault(path)
    one, other = (vault.placeholder_for("EMAIL", f"{name}@example.com") for name in ("jane", "joe"))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE entry SET sealed = (SELECT sealed FROM entry WHERE number = 2) WHERE number = 1")
    database.close()
    with pytest.raises(VaultUnreadable, match="does not open"):
        vault.value_of(one)
    assert vault.value_of(other) == "joe@example.com"


@pytest.mark.parametrize("place", ["/proc/trireme/vault.db", "/dev/null/vault.db"])
def test_a_place_that_cannot_be_written_gives_the_mend(place: str) -> None:
    with pytest.raises(VaultUnwritable, match=rf"the vault {place} can't be used now .*choose another folder"):
        FileVault(Path(place))


def test_a_full_disk_gives_a_clear_error_and_the_vault_works_on_afterwards(path: Path) -> None:
    lines = finish(start(FULL_DISK, path)).splitlines()
    assert "can't be used now" in lines[0]
    assert lines[1:] == ["jane@example.com", "[EMAIL_2]"]


def test_a_vault_that_another_process_holds_too_long_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.vault._WAIT_SECONDS", 0.05)
    vault = FileVault(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(VaultUnwritable, match="locked"):
        vault.placeholder_for("EMAIL", "jane@example.com")
    holder.execute("ROLLBACK")
    holder.close()
    assert vault.placeholder_for("EMAIL", "jane@example.com") == "[EMAIL_1]"


def test_a_deleted_value_is_gone_and_its_number_is_never_used_again(path: Path) -> None:
    vault = FileVault(path)
    gone = vault.placeholder_for("EMAIL", "jane@example.com")
    assert vault.delete(gone)
    assert not vault.delete(gone)
    assert not vault.delete("[EMAIL_S1]")
    assert vault.value_of(gone) is None
    assert vault.placeholder_for("EMAIL", "joe@example.com") == "[EMAIL_2]"
    assert vault.clear() == 1
    assert vault.value_of("[EMAIL_2]") is None
    assert vault.placeholder_for("EMAIL", "jane@example.com") == "[EMAIL_3]"


def test_a_servers_vault_in_a_file_has_its_own_realm(path: Path) -> None:
    vault = FileVault(path, realm="S")
    assert vault.placeholder_for("NAME", "Jane Roe") == "[NAME_S1]"
    assert vault.value_of("[NAME_1]") is None


def test_a_redactor_restores_what_another_process_redacted(path: Path) -> None:
    text = "Jane Roe, jane@example.com"
    detector = Detector(known=["Jane Roe"])
    redacted = Redactor(detector, FileVault(path)).redact(text)
    assert redacted == "[NAME_1], [EMAIL_2]"
    assert Redactor(detector, FileVault(path)).restore(redacted) == text
