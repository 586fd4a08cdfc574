"""`trireme ARGS` without a terminal: a process of its own, forked from one that has loaded the command line already.

What an interpreter itself takes from the environment as it starts, such as its locale, is the tests' own.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from tempfile import TemporaryDirectory

_STREAMS = ("stdin", "stdout", "stderr")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["serving.cli.app", "serving.cli.doctor", "serving.cli.run", "serving.migrate", "presidio_analyzer", __name__]
)


def run_command(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, stdin: str, timeout_s: float
) -> "CompletedProcess[str]":
    """Raises TimeoutExpired."""
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in _STREAMS]
        files[0].write_text(stdin)
        process = _FORKS.Process(target=_command, args=(list(arguments), dict(environment), cwd, files))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            raise TimeoutExpired(list(arguments), timeout_s)
        return CompletedProcess(list(arguments), process.exitcode, files[1].read_text(), files[2].read_text())


def _command(arguments: list[str], environment: dict[str, str], cwd: Path, files: list[Path]) -> None:
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    sys.stdin = os.fdopen(0)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["trireme", *arguments]
    from serving.cli.start import main

    main()
