"""A database that is up and doesn't do its work, or is gone for a while: work waits, and goes on by itself."""

from tests.chaos.__main__ import ready
from tests.chaos.arena import arena
from tests.chaos.bout import Bout
from tests.chaos.outages import OUTAGES, outages, small_disks


async def test_a_run_mix_survives_a_database_that_does_not_do_its_work() -> None:
    async with arena(workers=2, apis=1) as ground, small_disks(ground):
        await ready(ground)
        found = await Bout(ground, "outages", 1, len(OUTAGES)).fight(outages)
        said = (ground.home / "zygote.log").read_text()
    assert not found.wrong, "\n".join(found.wrong)
    *recoveries, slowest = sorted(found.recoveries)
    assert max(recoveries) < 5
    assert slowest < 20  # other work on the machine may hold up one
    ended = sum(times for what, times in found.counts.items() if "ended by itself" in what)
    assert ended <= said.count("outcome=stood_still"), "but for what the machine itself held up past its lease"
    assert "Traceback" not in said
