"""`make bench`, or `python -m tests.bench [NAME ...] [--fresh]`: the named benchmarks, or all, as one table."""

import sys
from collections.abc import Iterator
from importlib import import_module

from tests.bench.figure import Figure, machine, table

_ALL = (
    "help",
    "startup",
    "demo",
    "latency",
    "ingest",
    "throughput",
    "streams",
    "joined",
    "storage",
    "durable_steps",
    "threads",
    "memory",
    "flood",
)


def main() -> None:
    names = [word for word in sys.argv[1:] if not word.startswith("-")] or _ALL
    if unknown := set(names) - set(_ALL):
        raise SystemExit(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(_ALL)}")
    print(f"{machine()} at the start; wall times are longer on a busy machine\n", flush=True)
    print(table(figure for name in names for figure in _measured(name)))


def _measured(name: str) -> Iterator[Figure]:
    print(f"measuring {name}", file=sys.stderr, flush=True)
    yield from import_module(f"tests.bench.{name}").measure()


if __name__ == "__main__":
    main()
