"""What is remembered, and whose it is."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from memory.errors import MemoryRefused
from privacy.redact import Redacted

Kind = Literal["preference", "profile", "note"]
"""How the person wants things done; who they and their company are; what they asked to keep in mind."""

_NAME: Final = re.compile(r"[^\s\x00-\x1f]{1,200}")


def require_redacted(text: object) -> None:
    """Raises TypeError for text that has not been through the redactor."""
    if not isinstance(text, Redacted):
        raise TypeError("memory takes Redacted text only: pass it through the redactor first")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose memories they are; nothing is read or changed across owners. Raises MemoryRefused for an unusable name."""

    tenant: str = "default"
    user: str = "local"

    def __post_init__(self) -> None:
        for field, name in (("tenant", self.tenant), ("user", self.user)):
            if not _NAME.fullmatch(name):
                raise MemoryRefused(f"a memory's {field} is 1 to 200 characters without spaces")


@dataclass(frozen=True, slots=True)
class Item:
    """One memory. `source` says where it was stated, `slot` which question it answers (only one item may)."""

    id: str
    text: Redacted
    source: str
    kind: Kind
    slot: str
    confidence: float
    created_at: datetime
    expires_at: datetime | None = None
