"""`python -m tests.chaos.plants [NAME ...]`: is every planted bug caught, and nothing found where none is planted?"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.__main__ import ready
from tests.chaos.arena import Arena, arena
from tests.chaos.bout import Bout
from tests.chaos.planted import PLANTS, SCENARIOS
from tests.chaos.scenarios import Scenario

_PATIENCE_S, _TRIES = 6.0, 12
_CLEAN_PATIENCE_S = 45.0  # a busy machine is no bug


async def caught(names: list[str]) -> dict[str, list[str]]:
    """What the scenario of each planted bug finds; under the scenario's number, what it finds without one."""
    found = {}
    async with arena(workers=2, apis=1) as ground:
        await ready(ground)
        scenarios = list(dict.fromkeys(SCENARIOS[PLANTS[name]] for name in names))
        for number, scenario in enumerate(scenarios):
            found[f"nothing planted {number}"] = await _wrong(ground, scenario, f"clean-{number}", _CLEAN_PATIENCE_S)
            _say(f"nothing planted {number}", found)
        for name in names:
            with planted(ground, name):
                for number in range(_TRIES):  # a machine that is busy may let one slip
                    found[name] = await _wrong(ground, SCENARIOS[PLANTS[name]], f"{name}-{number}")
                    if found[name]:
                        break
                _say(name, found)
    return found


@contextmanager
def planted(ground: Arena, name: str) -> Iterator[None]:
    for slot in ground.slots:
        slot.asked["planted"] = name
    try:
        yield
    finally:
        for slot in ground.slots:
            del slot.asked["planted"]


async def _wrong(ground: Arena, scenario: Scenario, name: str, patience_s: float = _PATIENCE_S) -> list[str]:
    trouble, kinds, width = scenario
    await ground.end_all()
    await ground.fill_all()
    await ground.until_up()
    bout = Bout(ground, name, 1, kinds=kinds, width=width, patience_s=patience_s)
    return (await asyncio.wait_for(bout.fight(trouble), 60 + patience_s)).wrong


def _say(name: str, found: dict[str, list[str]]) -> None:
    print(f"{name}: {found[name][0][:160] if found[name] else 'nothing wrong'}", flush=True)


def main() -> None:
    found = asyncio.run(caught(sys.argv[1:] or list(PLANTS)))
    sys.exit(any(bool(wrong) == name.startswith("nothing") for name, wrong in found.items()))


if __name__ == "__main__":
    main()
