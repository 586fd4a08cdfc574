"""The texts that prompts are made of: one shared by all roles, one for each role."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_NAMES = ("system", "planner", "worker", "critic", "writer")


@dataclass(frozen=True, slots=True)
class Prompts:
    """By name. A run keeps those it began with, also on a worker that has others."""

    texts: Mapping[str, str]

    def version(self, role: str) -> str:
        """The content hash that a log line and a trace carry: of the shared part and the role's part together."""
        return hashlib.sha256(f"{self.texts['system']}\0{self.texts[role]}".encode()).hexdigest()[:12]

    def digests(self) -> dict[str, str]:
        """Name -> content hash of the text by itself."""
        return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in self.texts.items()}


@cache
def present_prompts() -> Prompts:
    """Those of this version: graph/prompts/*.md."""
    folder = files("graph") / "prompts"
    return Prompts({name: (folder / f"{name}.md").read_text("utf-8").strip() for name in _NAMES})
