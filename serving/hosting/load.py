"""From what langgraph.json names to the object it means. What the users' code raises is told as their code's."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from serving.hosting.errors import GraphFailed
from serving.hosting.named_alike import hearing, name_of_theirs, tell_apart
from serving.hosting.sdk import serve_sdk


def load_object(spec: str, folder: Path, roots: Sequence[Path]) -> Any:
    """`spec` is MODULE:NAME or FILE.py:NAME, with the file relative to `folder`. Raises GraphFailed.

    Blocks for as long as the import takes: call it in a thread. `roots` are on sys.path from then on.
    """
    where, _, name = spec.rpartition(":")
    _extend_path(roots)
    tell_apart(roots)
    serve_sdk()
    with _told(where):
        found: Any = _of_file((folder / where).resolve(), roots) if _is_file(where) else _of_name(where)
    for part in name.split("."):
        if not hasattr(found, part):
            raise GraphFailed(f"{where} has no {name}", f"it has: {_public(found)}")
        found = getattr(found, part)
    return found


def _is_file(where: str) -> bool:
    return "/" in where or where.endswith((".py", ".js", ".ts", ".mjs", ".tsx"))


def _of_name(module: str) -> ModuleType:
    return importlib.import_module(name_of_theirs(module))


def _of_file(path: Path, roots: Sequence[Path]) -> ModuleType:
    if path.suffix != ".py":
        raise GraphFailed(f"{path.name} is no Python file", "only graphs in Python are hosted here")
    if not path.is_file():
        raise GraphFailed(f"there is no file {path.name} in {path.parent.name}/", "paths begin at langgraph.json")
    for name in _names(path, roots):
        if _is_at(name, path):
            return importlib.import_module(name)
    return _by_location(path)


def _names(path: Path, roots: Sequence[Path]) -> Iterator[str]:
    """What the file is called by those that import it from a root, innermost root first."""
    for root in sorted(roots, key=lambda root: len(root.parts), reverse=True):
        if path.is_relative_to(root):
            parts = path.relative_to(root).with_suffix("").parts
            if all(part.isidentifier() for part in parts):
                yield name_of_theirs(".".join(parts))


def _is_at(name: str, path: Path) -> bool:
    """Whether an import of this name gives this very file: a module of ours, or an installed one, may have it too."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == path


def _by_location(path: Path) -> ModuleType:
    name = f"hosted_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = hearing(importlib.util.spec_from_file_location(name, path))
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _extend_path(roots: Sequence[Path]) -> None:
    for root in reversed(roots):
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))


@contextmanager
def _told(where: str) -> Iterator[None]:
    """A module may raise anything, and even end the process."""
    try:
        yield
    except GraphFailed:
        raise
    except (Exception, SystemExit) as error:
        raise told_of(error, where) from error


def told_of(error: BaseException, where: str) -> GraphFailed:
    """What went wrong and on which line: this is the developer's own code, and holds nobody's data."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if not frame.filename.startswith("<frozen")), None)
    at = f" (line {last.lineno} of {Path(last.filename).name})" if last else ""
    if isinstance(error, SyntaxError):
        at = f" (line {error.lineno} of {Path(error.filename or where).name})"
    mend = "mend it, and start the server again"
    if isinstance(error, ModuleNotFoundError):
        mend = "install it where the server runs, for nothing of `dependencies` is installed here, and start it again"
    return GraphFailed(f"{where}: {type(error).__name__}: {error}{at}", mend)


def _public(found: Any) -> str:
    names = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
    return ", ".join(sorted(names)[:20]) or "no public names"
