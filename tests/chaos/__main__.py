"""`python -m tests.chaos [MODE[=TIMES] ...] [--bouts N] [--seed N]`: bouts of trouble, and what they found."""

import argparse
import asyncio
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from tempfile import gettempdir

from tests.chaos.arena import HEARTBEAT_S, LEASE_S, Arena, arena
from tests.chaos.bout import Bout, Trouble, watch
from tests.chaos.oracle import Findings, evidence
from tests.chaos.outages import outages, small_disks
from tests.chaos.points import every_point, unreached
from tests.chaos.streams import every_byte
from tests.chaos.trouble import database_faults, random_kills, zombies

TROUBLES: dict[str, Trouble] = {
    "points": every_point,
    "kills": random_kills,
    "zombies": zombies,
    "database": database_faults,
    "outages": outages,
    "streams": every_byte,
}
_BOUT = {"points": 1, "kills": 60, "zombies": 16, "database": 20, "outages": 16, "streams": 10}


def main() -> None:
    asked = _arguments().parse_args()
    total = Findings()
    for mode, times in asked.modes or [(mode, 0) for mode in TROUBLES]:
        total.add(asyncio.run(_bouts(mode, asked.seed, asked.bouts, times or asked.times or _BOUT[mode])))
    slow, all_of_them = total.slow_take_overs, len(total.take_overs)
    if slow > all_of_them / 100:
        total.wrong.append(f"{slow} of {all_of_them} take-overs took longer of their own than the lease and 1 s")
        print(total.wrong[-1])
    print(f"\n{_figures(total)}\n{len(total.wrong)} wrong")
    sys.exit(1 if total.wrong else 0)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break it, and see that it holds.")
    known = ", ".join(TROUBLES)
    parser.add_argument("modes", nargs="*", type=_mode, metavar="MODE[=TIMES]", help=f"of {known}; all without any")
    parser.add_argument("--times", type=int, default=0, help="how often it goes wrong in a bout")
    parser.add_argument("--bouts", type=int, default=1, help="how many bouts, with one seed after the other")
    parser.add_argument("--seed", type=int, default=1, help="of the first bout")
    return parser


def _mode(text: str) -> tuple[str, int]:
    mode, _, times = text.partition("=")
    if mode not in TROUBLES:
        raise argparse.ArgumentTypeError(f"there is no mode {mode}")
    return mode, int(times or 0)


async def _bouts(mode: str, seed: int, bouts: int, times: int) -> Findings:
    total = Findings()
    async with arena() as ground, small_disks(ground) if mode == "outages" else nullcontext():
        await ready(ground)
        for each in range(seed, seed + bouts):
            begun = time.monotonic()
            found = await Bout(ground, mode, each, times).fight(TROUBLES[mode])
            print(
                f"{mode} seed {each}: {time.monotonic() - begun:.0f} s, {len(found.wrong)} wrong; {_figures(found)}",
                flush=True,
            )
            for line in found.wrong:
                print(f"  {line}")
            if found.wrong:
                kept = Path(gettempdir()) / f"chaos-{mode}-{each}.log"
                kept.write_bytes((ground.home / "zygote.log").read_bytes())
                kept.with_suffix(".jsonl").write_text(evidence(ground, found.wrong))
                print(f"  again: python -m tests.chaos {mode} --seed {each} --times {times}; log: {kept}", flush=True)
            total.add(found)
        if mode == "points":
            total.wrong += [f"point {name} was never reached" for name in unreached(ground.notes)]
    return total


async def ready(ground: Arena) -> None:
    """Every process is up, and the oracle's eyes are in the database."""
    watch(ground)
    await ground.fill_all()
    await ground.until_up()


def _figures(found: Findings) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in sorted(found.counts.items()))
    parts = [counts]
    if found.take_overs:
        parts.append(f"take-over {_spread(found.take_overs)} (lease {LEASE_S:g} s, heartbeat {HEARTBEAT_S:g} s)")
    if found.recoveries:
        parts.append(f"first line after the database is back {_spread(found.recoveries)}")
    return "; ".join(parts)


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    at = {share: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)}
    return f"p50 {at[0.5]:.2f} s, p99 {at[0.99]:.2f} s, most {ordered[-1]:.2f} s of {len(ordered)}"


if __name__ == "__main__":
    main()
