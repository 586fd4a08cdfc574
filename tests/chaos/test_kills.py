"""A small bout of chaos: nothing is lost, doubled or repeated in silence. `make chaos` is the large one."""

from tests.chaos.__main__ import TROUBLES, ready
from tests.chaos.arena import arena
from tests.chaos.bout import Bout


async def test_a_run_mix_survives_kills_of_each_kind_of_process() -> None:
    async with arena() as ground:
        await ready(ground)
        found = await Bout(ground, "kills", 1, 8).fight(TROUBLES["kills"])
    assert not found.wrong, "\n".join(found.wrong)
    assert found.counts["worker SIGKILL"]
    assert found.counts["api SIGKILL"]
    assert found.counts["interruptions"]
