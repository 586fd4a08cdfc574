"""What a reader of a thread's stream asks for: channels, and how deep in which subgraphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from serving.api.thread_streams.errors import Refused

CHANNELS: Final = frozenset(
    {"values", "updates", "messages", "tools", "lifecycle", "input", "checkpoints", "tasks", "custom"}
)
_EXTENSION: Final = "custom:"
_WATCHING: Final = frozenset({"lifecycle", "input"})
_MOST: Final = 1_000
Namespace = tuple[str, ...]


@dataclass(frozen=True)
class Subscription:
    """`namespaces` are prefixes, of which an event is at most `depth` below one; none is the whole run."""

    channels: frozenset[str]
    namespaces: tuple[Namespace, ...] = ((),)
    depth: int | None = None

    @property
    def watches(self) -> bool:
        """Whether it looks for beginnings, ends and questions alone."""
        return self.channels <= _WATCHING

    def wants(self, channel: str, namespace: Namespace) -> bool:
        return self._hears(channel) and any(self._covers(prefix, namespace) for prefix in self.namespaces)

    def _hears(self, channel: str) -> bool:
        return channel in self.channels or (channel.startswith(_EXTENSION) and "custom" in self.channels)

    def _covers(self, prefix: Namespace, namespace: Namespace) -> bool:
        below = len(namespace) - len(prefix)
        if below < 0 or (self.depth is not None and below > self.depth):
            return False
        return all(_same(asked, given) for asked, given in zip(prefix, namespace, strict=False))


def _same(asked: str, given: str) -> bool:
    """A node's name stands for each of its tasks."""
    return asked == given or (":" not in asked and given.partition(":")[0] == asked)


def subscription_of(given: Any) -> Subscription:
    """From what a client sends. Raises Refused."""
    if not isinstance(given, Mapping):
        raise Refused("invalid_argument", "a subscription is a JSON object with `channels`")
    return Subscription(_channels(given.get("channels")), _namespaces(given.get("namespaces")), _depth(given))


def since_of(given: Mapping[str, Any]) -> int | None:
    """The `seq` behind which it begins, if it says so. Raises Refused."""
    since = given.get("since")
    if since is None:
        return None
    if not isinstance(since, int) or isinstance(since, bool) or since < 0:
        raise Refused("invalid_argument", "`since` is the seq of an event: an integer from 0 on")
    return since


def _channels(given: Any) -> frozenset[str]:
    if not isinstance(given, list) or not given or len(given) > _MOST:
        raise Refused("invalid_argument", "`channels` is required, and is a list that isn't empty")
    unknown = [each for each in given if not _is_channel(each)]
    if unknown:
        known = ", ".join(sorted(CHANNELS))
        raise Refused("invalid_argument", f"no such channel: {unknown[0]!r:.80}; there are {known}, and custom:NAME")
    return frozenset(given)


def _is_channel(name: Any) -> bool:
    return isinstance(name, str) and (name in CHANNELS or (name.startswith(_EXTENSION) and name != _EXTENSION))


def _namespaces(given: Any) -> tuple[Namespace, ...]:
    if given is None or given == []:
        return ((),)
    fits = isinstance(given, list) and len(given) <= _MOST and all(isinstance(each, list) for each in given)
    if not fits or not all(isinstance(part, str) for each in given for part in each):
        raise Refused("invalid_argument", "`namespaces` is a list of lists of texts")
    return tuple(tuple(each) for each in given)


def _depth(given: Mapping[str, Any]) -> int | None:
    depth = given.get("depth")
    if depth is None:
        return None
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 0:
        raise Refused("invalid_argument", "`depth` is an integer from 0 on")
    return depth
