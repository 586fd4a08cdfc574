"""Streams cut at every byte and resumed on another API process: what a reader then has is the log, once, in order.

Of every stream each cut is made in the bytes that came, and each place to go on from is asked for over a socket. Every
tenth stream, and the first, is also cut over real sockets behind each of its bytes.
"""

import asyncio
from itertools import pairwise

from tests.chaos.bout import Bout
from tests.chaos.http import Broken, Frame, Frames, head, opened, pieces

_AT_ONCE, _EVERY = 16, 10
_PATIENCE_S = 10.0


async def every_byte(bout: Bout) -> None:
    """Lets `times` runs end, then cuts their streams."""
    while sum(bool(caller.told.ended) for caller in bout.callers) < bout.times:
        await asyncio.sleep(0.1)
    bout.over = True
    ended = sorted((caller.told.run_id for caller in bout.callers if caller.told.ended), key=str)[: bout.times]
    for number, run_id in enumerate(ended):
        await _cut_up(bout, run_id, over_sockets=number % _EVERY == 0)


async def _cut_up(bout: Bout, run_id: str, over_sockets: bool) -> None:
    first, second = bout.arena.ports[0], bout.arena.ports[-1]
    whole = await _body(first, run_id, 0)
    log = Frames().feed(whole)
    if not log or any(after.seq != before.seq + 1 for before, after in pairwise(log)):
        bout.missed.append(f"run {run_id}: its stream is {[frame.seq for frame in log]}")
    rest = {after: Frames().feed(await _body(second, run_id, after)) for after in range(len(log) + 1)}
    for cut in range(len(whole) + 1):
        seen = Frames().feed(whole[:cut])
        if [*seen, *rest[_last(seen)]] != log:
            bout.missed.append(f"run {run_id}: cut behind byte {cut} of {len(whole)}, the union is not the log")
    bout.counts["bytes cut"] = bout.counts.get("bytes cut", 0) + len(whole) + 1
    if over_sockets:
        slots = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(_cut_over_sockets(bout, slots, run_id, log, cut) for cut in range(len(whole) + 1)))


async def _cut_over_sockets(bout: Bout, slots: asyncio.Semaphore, run_id: str, log: list[Frame], cut: int) -> None:
    async with slots:
        first, second = bout.chance.sample(bout.arena.ports, 2)
        seen = Frames().feed(await _body(first, run_id, 0, cut))
        again = Frames().feed(await _body(second, run_id, _last(seen)))
    if [*seen, *again] != log:
        bout.missed.append(f"run {run_id}: cut behind byte {cut} over sockets, the union is not the log")
    bout.count("bytes cut over sockets")


def _last(seen: list[Frame]) -> int:
    return seen[-1].seq if seen else 0


async def _body(port: int, run_id: str, after: int, cut: int | None = None) -> bytes:
    """The stream behind event `after`, whole, or closed by the reader behind byte `cut`. Raises Broken."""
    headers = {"Last-Event-ID": str(after)} if after else {}
    got = b""
    async with opened(port, "GET", f"/runs/{run_id}/events", None, headers, _PATIENCE_S) as (reader, _):
        async with asyncio.timeout(_PATIENCE_S):
            status, length = await head(reader)
            if status == 204:
                return b""
            if status != 200:
                raise Broken(f"status {status}")
            async for piece in pieces(reader, length):
                got += piece
                if cut is not None and len(got) >= cut:
                    return got[:cut]
    return got
