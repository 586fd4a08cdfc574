"""A `sys.exit` on a worker's loop ends what awaits it, and neither the loop nor anything else."""

import asyncio
import sys
from collections.abc import Callable

import pytest

from serving.processes.loop import WorkerLoop


async def quits() -> None:
    await asyncio.sleep(0)
    sys.exit("gone")


async def in_a_thread() -> None:
    await asyncio.to_thread(sys.exit, "gone")


@pytest.mark.parametrize("leaves", [quits, in_a_thread])
def test_who_awaits_a_task_that_quits_is_told_and_the_others_go_on(leaves: Callable[[], asyncio.Future[None]]) -> None:
    async def main() -> int:
        beside = asyncio.create_task(asyncio.sleep(0.01, 7))
        with pytest.raises(SystemExit, match="gone"):
            await asyncio.ensure_future(leaves())
        return await beside

    with asyncio.Runner(loop_factory=WorkerLoop) as runner:
        assert runner.run(main()) == 7


@pytest.mark.parametrize("leaves", [quits, in_a_thread])
def test_whoever_runs_the_loop_for_what_quits_is_told_too(leaves: Callable[[], asyncio.Future[None]]) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(leaves())  # type: ignore[arg-type]

    for work in (leaves, main):
        with asyncio.Runner(loop_factory=WorkerLoop) as runner, pytest.raises(SystemExit, match="gone"):
            runner.run(work())  # type: ignore[arg-type]
