"""A YAML file that remembers where everything stands, so that an error can name file, line and field."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serving.errors import SettingsError

Place = tuple[str | int, ...]

_LONGEST = 200_000
_MOST_VALUES = 20_000


@dataclass(frozen=True, slots=True)
class MarkedFile:
    """`data` as plain values; `lines` maps a place such as ("agent", "roles", "planner") to its line, from 1."""

    path: Path
    data: Any
    lines: dict[Place, int]

    def fault(self, place: Sequence[str | int], what: str, mend: str = "") -> SettingsError:
        return SettingsError(f"{self.where(place)}: {what}", mend, "bad_routes")

    def where(self, place: Sequence[str | int]) -> str:
        """`routes.yaml:4: model_list[0].litellm_params.model`."""
        return f"{self.path}:{self._line(tuple(place))}: {field(place)}"

    def _line(self, place: Place) -> int:
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def field(place: Sequence[str | int]) -> str:
    """`model_list[0].litellm_params.model`; "the file" for the root."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return text or "the file"


def read_marked(path: Path) -> MarkedFile:
    """Raises SettingsError when the file can't be read, is not YAML, or says a key twice."""
    try:
        with path.open("rb") as file:
            written = file.read(_LONGEST + 1)
        if len(written) > _LONGEST:
            raise SettingsError(f"{path}: longer than {_LONGEST} bytes", "is it the right file?", "bad_routes")
        text = written.decode()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}", "name a readable file", "bad_routes") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: byte {error.start} is not UTF-8", "save it as UTF-8", "bad_routes") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = _lines(path, node) if node else {}
        return MarkedFile(path, yaml.safe_load(text), lines)
    except RecursionError:
        raise SettingsError(f"{path}:1: a part of it holds itself (& and *)", "mend the YAML", "bad_routes") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        raise SettingsError(f"{path}:{line}: {problem}", "mend the YAML", "bad_routes") from None


def _lines(path: Path, root: yaml.Node) -> dict[Place, int]:
    lines: dict[Place, int] = {}
    for place, line in _walk(path, root, ()):
        lines[place] = line
        if len(lines) > _MOST_VALUES:
            what = f"{field(place)}: more than {_MOST_VALUES} values, with what * repeats"
            raise SettingsError(f"{path}:{line}: {what}", "write it with fewer", "bad_routes")
    return lines


def _walk(path: Path, node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(path, item, (*place, index))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen and name != "<<":
                raise SettingsError(f"{path}:{line}: {field((*place, name))}: said twice", "keep one", "bad_routes")
            seen.add(name)
            yield from _walk(path, value, (*place, name))
            # The key's line, not the value's: a block value begins a line below its name.
            yield (*place, name), line
