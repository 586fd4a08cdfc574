"""What users get wrong and nobody can read or write: one line with the mend, the right exit code, nothing lost."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from tests.acceptance.conftest import Home, Up
from tests.acceptance.refusal import refused
from tests.evals.pdf import pdf

VACATION = "How many unused vacation days can be carried over?"
MISSING = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (("",), "", "the goal is empty"),
        ((" \n\t ",), "", "the goal is empty"),
        (("-",), "", "the goal is empty"),
        (("g" * 100_000,), "", "the goal has 100000 characters, at most 32000 are taken"),
        (("-",), "g" * 200_000, "the goal has 200000 characters, at most 32000 are taken"),
        (
            ("caf\udce9",),
            "",
            "half a surrogate pair (U+DCE9) at character 4: leave it out",
        ),
        (("-",), "a\0b", "the goal holds a NUL (U+0000) at character 2"),
    ],
)
def test_a_goal_that_is_none_too_long_or_no_text_is_refused_before_anything_starts(
    home: Home, arguments: tuple[str, ...], stdin: str, says: str
) -> None:
    assert says in refused(home, "run", *arguments, stdin=stdin)
    assert list(home.path.iterdir()) == []


def test_an_id_that_no_run_has_is_refused_by_every_command(up: Up) -> None:
    commands = ("status", "logs", "plan", "approve", "resume", "cancel")
    calls = [(command, run_id) for command in commands for run_id in (MISSING, "../../ok")]
    with ThreadPoolExecutor(2) as asking:
        lines = list(asking.map(lambda call: refused(up.home, *call), calls))
    for (_, run_id), line in zip(calls, lines, strict=True):
        assert line.startswith("trireme: no run ")
        assert run_id in line
    assert 'no run "": an id is a UUID' in refused(up.home, "status", "")
    assert 'no run "\\udcff": an id is a UUID' in refused(up.home, "logs", "\udcff")
    assert "the reason holds half a surrogate pair" in refused(up.home, "approve", MISSING, "--reason", "\udcff")
    assert 'no thread "nope": an id is a UUID' in refused(up.home, "run", VACATION, "--thread", "nope")
    mistyped = refused(up.home, "run", VACATION, "--thread", MISSING)
    assert f"no thread {MISSING}: leave it out to begin a conversation" in mistyped


def test_a_folder_that_gives_nothing_to_read_is_refused(home: Home) -> None:
    folder = home.path / "docs"
    assert "doesn't exist" in refused(home, "run", VACATION, "--docs", str(folder))
    assert "names no folder" in refused(home, "run", VACATION, "--docs", "")
    folder.mkdir()
    assert "is empty" in refused(home, "run", VACATION, "--docs", str(folder))
    (folder / "image.png").write_bytes(b"\x89PNG\0\0")
    assert "holds no file that can be read" in refused(home, "run", VACATION, "--docs", str(folder))
    assert "is a file, not a folder" in refused(home, "run", VACATION, "--docs", str(folder / "image.png"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder, whatever its permissions")
def test_a_folder_without_permission_is_refused(home: Home) -> None:
    folder = home.path / "docs"
    folder.mkdir(mode=0)
    assert "can't be read: permission denied" in refused(home, "run", VACATION, "--docs", str(folder))


def test_files_that_cannot_be_read_are_skipped_and_named_and_the_rest_is_answered(up: Up, tmp_path: Path) -> None:
    (tmp_path / "rules.md").write_text("# Rules\n\nUp to 7 vacation days can be carried over into the next year.\n")
    (tmp_path / "windows.txt").write_bytes("The café opens at 9.\n".encode("cp1252"))
    bad = {
        "program.bin": b"\x7fELF\0\1\2",
        "note.txt": b"\0\1\2\3" * 50,
        "broken.pdf": pdf(["text"])[:200],
        "zero.md": b"",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "large.txt").open("wb") as large:
        large.truncate(50_000_000)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    done = up.home.run("run", "How many vacation days can be carried over?", "--docs", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    result = orjson.loads(done.stdout)
    assert "7 vacation days" in result["answer"]
    skipped = dict(line.removeprefix("skipped ").split(": ", 1) for line in done.stderr.splitlines())
    assert set(skipped) == {*bad, "large.txt", "loop", "pipe.txt"}
    assert skipped["large.txt"] == "50.0 MB, over the limit of 20 MB"
    assert skipped["zero.md"] == "empty file"


@pytest.mark.parametrize("arguments", [("status",), ("run", VACATION)])
def test_output_that_cannot_be_written_is_told_in_one_line(up: Up, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            up.home.command(*arguments), env=up.home.environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("trireme: the output can't be written: No space left on device: ")
