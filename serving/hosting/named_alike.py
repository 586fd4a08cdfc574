"""Users' modules that are called as packages of ours (`graph`, `memory`): in their code the name means theirs.

One name can't be two modules, so theirs go by `hosted_NAME`, and what lies in their folders imports them by that: by
`import`; a name as a text, as importlib takes it, is ours.
"""

import builtins
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_OURS: Final = Path(__file__).resolve().parents[2]
_NAMES: Final = ("gpu", "graph", "memory", "privacy", "serving")
_PREFIX: Final = "hosted_"


def tell_apart(roots: Sequence[Path]) -> None:
    """Before anything is imported from `roots`; changes nothing where no name is taken twice."""
    taken = {name: root for root in reversed(roots) if root != _OURS for name in _NAMES if _place(root, name)}
    finder = _Finder(taken, tuple(roots))
    if finder not in sys.meta_path:
        others = (each for each in sys.meta_path if type(each) is not _Finder)
        sys.meta_path = [*([finder] if taken else ()), *others]  # another thread may be on its way along the old one


def name_of_theirs(module: str) -> str:
    """As it is imported, whoever asks."""
    return f"{_PREFIX}{module}" if module.partition(".")[0] in _taken() else module


def hearing(spec: ModuleSpec | None) -> ModuleSpec | None:
    """Of a module in the users' folders: its code means its neighbours by the names that both have."""
    if spec and type(spec.loader) is SourceFileLoader and _taken():
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
    return spec


def _taken() -> Mapping[str, Path]:
    return next((finder.taken for finder in sys.meta_path if isinstance(finder, _Finder)), {})


def _place(root: Path, name: str) -> Path | None:
    """A package or a module, or else a folder of modules, as Python looks for them."""
    package, module = root / name, root / f"{name}.py"
    if module.is_file() and not (package / "__init__.py").is_file():
        return module
    return package if any(package.glob("*.py")) else None


@dataclass(frozen=True)
class _Finder:
    """`taken`: the root that has each of the names."""

    taken: Mapping[str, Path]
    roots: tuple[Path, ...]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in self.taken:
            return PathFinder.find_spec(name, [str(_OURS)])
        alike = name.removeprefix(_PREFIX)
        if alike != name and alike in self.taken:
            return hearing(_spec(name, self.taken[alike], alike))
        if name.partition(".")[0] in _NAMES:  # ours, wherever it lies
            return None
        spec = PathFinder.find_spec(name, path)
        origin = Path(spec.origin) if spec and spec.origin else None
        if origin is None or "site-packages" in origin.parts:
            return None
        return hearing(spec) if any(origin.is_relative_to(root) for root in self.roots) else None


def _spec(name: str, root: Path, alike: str) -> ModuleSpec | None:
    place = _place(root, alike)
    if place is None or place.suffix:
        return spec_from_file_location(name, place) if place else None
    if (place / "__init__.py").is_file():
        return spec_from_file_location(name, place / "__init__.py", submodule_search_locations=[str(place)])
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(place)]
    return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
        super().exec_module(module)


def _import(
    name: str, globals_: Any = None, locals_: Any = None, fromlist: Sequence[str] | None = (), level: int = 0
) -> ModuleType:
    return builtins.__import__(name if level else name_of_theirs(name), globals_, locals_, fromlist or (), level)
