"""Locks on files of a home folder: held by a process, until it lets go or ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from serving.errors import StartFailed


class HomeLock:
    """One process owns it, or several share it."""

    def __init__(self, home: Path, name: str) -> None:
        self._home, self._name = home, name
        self._file: IO[str] | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def own(self) -> bool:
        """False while another process has it. Raises StartFailed."""
        return self.held or self._taken(fcntl.LOCK_EX | fcntl.LOCK_NB)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Owned meanwhile; waits for who has it. Raises StartFailed."""
        self._taken(fcntl.LOCK_EX)
        try:
            yield
        finally:
            self.release()

    def share(self) -> None:
        """Waits for who owns it. Raises StartFailed."""
        self._taken(fcntl.LOCK_SH)

    def release(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _taken(self, how: int) -> bool:
        with writing(self._home):
            file = (self._home / self._name).open("a")
            try:
                fcntl.flock(file, how)
            except BlockingIOError:
                file.close()
                return False
        self._file = file
        return True


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Around what is written there. Raises StartFailed where that can't be."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StartFailed(
            f"can't write to {home}: {error.strerror}", "set TRIREME_HOME to a folder you can write to"
        ) from None
