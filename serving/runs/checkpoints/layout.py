"""Where each channel's value lies: in the checkpoint's row when small, in a row of its own, or as a list's items."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import ormsgpack

from serving.runs.checkpoints.codec import Codec
from serving.runs.checkpoints.errors import NotCarried
from serving.runs.checkpoints.place import name
from serving.runs.checkpoints.seen import Seen, seen

_SMALL_BYTES = 128  # repeated at each step it costs less than a row and its index entry


@dataclass(frozen=True, slots=True)
class Inline:
    version: Any
    data: bytes


@dataclass(frozen=True, slots=True)
class Apart:
    version: Any


@dataclass(frozen=True, slots=True)
class Listed:
    """`marks` are hashes of the items as they are stored: by them a longer list shows whether it extends this one.

    `seen`, of those from the start on that this process has stored, spares the encoding of an item that is unchanged.
    """

    version: Any
    epoch: int
    marks: tuple[int, ...]
    seen: tuple[Seen | None, ...] = ()


_EMPTY = Listed(None, 0, ())
Stored: TypeAlias = Inline | Apart | Listed


@dataclass(frozen=True, slots=True)
class NewItems:
    channel: str
    epoch: int
    position: int
    count: int
    data: bytes


@dataclass(slots=True)
class Plan:
    """What one checkpoint refers to, and what of it has to be written."""

    stored: dict[str, Stored] = field(default_factory=dict)
    values: list[tuple[str, Any, bytes]] = field(default_factory=list)
    items: list[NewItems] = field(default_factory=list)

    @property
    def inline(self) -> dict[str, bytes]:
        return {channel: at.data for channel, at in self.stored.items() if isinstance(at, Inline)}

    @property
    def refs(self) -> dict[str, dict[str, Any]]:
        values = {channel: str(at.version) for channel, at in self.stored.items() if isinstance(at, Apart)}
        items = {channel: [at.epoch, len(at.marks)] for channel, at in self.stored.items() if isinstance(at, Listed)}
        return {name: refs for name, refs in (("values", values), ("items", items)) if refs}


class Layout:
    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def plan(
        self,
        values: Mapping[str, Any],
        versions: Mapping[str, Any],
        changed: Mapping[str, Any],
        before: Mapping[str, Stored],
    ) -> Plan:
        """`before`: what is known to be stored. Raises NotCarried, which names the channel."""
        plan = Plan()
        for channel, value in values.items():
            known, version = before.get(channel), versions.get(channel)
            if known is not None and channel not in changed and known.version == version:
                plan.stored[channel] = known
                continue
            try:
                self._place_value(plan, channel, value, version, known)
            except NotCarried as error:
                raise error.within(f"channel {channel}") from None
        return plan

    def _place_value(self, plan: Plan, channel: str, value: Any, version: Any, known: Stored | None) -> None:
        if type(value) is list:
            self._place_list(plan, channel, value, version, known)
        else:
            self._place(plan, channel, self._codec.encode(value), version)

    def _place(self, plan: Plan, channel: str, data: bytes, version: Any) -> None:
        if len(data) <= _SMALL_BYTES:
            plan.stored[channel] = Inline(version, data)
        else:
            plan.stored[channel] = Apart(version)
            plan.values.append((name(channel, "channel name"), version, data))

    def _place_list(self, plan: Plan, channel: str, value: list[Any], version: Any, known: Stored | None) -> None:
        before = known if isinstance(known, Listed) else _EMPTY
        marks, kept, encoded = self._marked(value, before.seen)
        start = len(before.marks)
        if start and marks[:start] == before.marks:
            new = [encoded[at] for at in range(start, len(value))]
            self._append(plan, channel, Listed(version, before.epoch, marks, kept), start, new)
            return
        new = [encoded.get(at) or self._codec.encode(item) for at, item in enumerate(value)]
        if sum(map(len, new)) < _SMALL_BYTES - len(new):
            self._place(plan, channel, self._codec.encode(value), version)
        else:
            self._append(plan, channel, Listed(version, secrets.randbits(62), marks, kept), 0, new)

    def _append(self, plan: Plan, channel: str, listed: Listed, start: int, new: list[bytes]) -> None:
        """`new`: its items from `start` on, encoded."""
        plan.stored[channel] = listed
        if new:
            packed = ormsgpack.packb(new)
            plan.items.append(NewItems(name(channel, "channel name"), listed.epoch, start, len(new), packed))

    def _marked(
        self, value: list[Any], known: Sequence[Seen | None]
    ) -> tuple[tuple[int, ...], tuple[Seen | None, ...], dict[int, bytes]]:
        """Each item's mark, and what spares its encoding the next time; encoded are those for which nothing did."""
        marks, kept, encoded = list[int](), list[Seen | None](), dict[int, bytes]()
        for at, item in enumerate(value):
            was = known[at] if at < len(known) else None
            if was is None or not was.is_still(item):
                data = encoded[at] = self._codec.encode(item)
                was, mark = seen(item, mark_of(data)), mark_of(data)
            else:
                mark = was.mark
            marks.append(mark)
            kept.append(was)
        return tuple(marks), tuple(kept), encoded


def mark_of(encoded: bytes) -> int:
    return hash(encoded)
