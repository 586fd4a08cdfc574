"""Single values out of a thread, by a path such as `values.messages[-1].content`, cut out by Postgres."""

import re
from typing import Final, LiteralString

import orjson

from serving.errors import Unprocessable
from serving.threads.store import FIELDS

MOST_PATHS: Final = 10
_ROOTS: Final = ("config", "interrupts", "metadata", "values")
_STEP: Final = re.compile(r"\.([^.\[\]\x00]+)|\[(-?\d{1,9})\]")


def extraction(path: str) -> tuple[LiteralString, str]:
    """(column, strict SQL/JSON path) of a caller's path. Raises Unprocessable for one that is none."""
    root = re.match(r"[a-z]+", path)
    if root is None or root[0] not in _ROOTS:
        raise _bad(path, f"begin with one of {', '.join(_ROOTS)}")
    steps, at = ["strict $"], root.end()
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise _bad(path, 'write names after dots and places in brackets, such as "values.messages[-1].content"')
        steps.append(_member(step[1]) if step[1] is not None else _element(int(step[2])))
        at = step.end()
    return FIELDS[root[0]], "".join(steps)


def _member(name: str) -> str:
    return "." + orjson.dumps(name).decode()


def _element(place: int) -> str:
    """A negative place counts from the end, as in Python."""
    if place >= 0:
        return f"[{place}]"
    return "[last]" if place == -1 else f"[last - {-place - 1}]"


def _bad(path: str, hint: str) -> Unprocessable:
    return Unprocessable(f"extract: {path[:100]!r} is no path", hint, "bad_extract_path")
