"""Long work of a command: what a person sees of it, and that nobody waits for its thread."""

import asyncio
import io
import time
from threading import Event

import pytest

from serving.cli import progress as module
from serving.cli.progress import apart, progress


def test_a_command_that_is_cut_off_waits_for_no_work_in_a_thread() -> None:
    """As Ctrl-C does; the executor of asyncio.to_thread is waited for at the loop's end."""
    begun, never = Event(), Event()

    def work() -> None:
        begun.set()
        never.wait(120)

    async def command() -> None:
        working = asyncio.create_task(apart(work))
        await asyncio.to_thread(begun.wait)
        working.cancel()
        await working

    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(command())
    never.set()
    assert time.monotonic() - started < 60


async def test_work_in_a_thread_gives_what_it_returns_or_raises() -> None:
    assert await apart(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await apart(divmod, 7, 0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "quiet", "shown"), [(Terminal(), False, True), (Terminal(), True, False), (io.StringIO(), False, False)]
)
async def test_a_terminal_alone_is_shown_how_far_long_work_is(
    stream: io.StringIO, quiet: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(module, "_QUICK_S", 0)
    async with progress(lambda: "file 3 is read: a\x1b]b.md", quiet=quiet):
        for _ in range(100):
            await asyncio.sleep(0)
    assert ("file 3 is read: a\ufffd]b.md, 0 s" in stream.getvalue()) == shown
    assert stream.getvalue().endswith("\r\x1b[K" if shown else "")
    assert bool(stream.getvalue()) == shown
