"""Who a request is from, and what it may do."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

Scope: TypeAlias = Literal["read", "write", "metrics"]
"""read: look at what the tenant has; write: create, decide, change, delete; metrics: the figures of all tenants."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
DEFAULT_TENANT: Final = "default"


@dataclass(frozen=True, slots=True)
class Identity:
    """`name` is for logs: a key's prefix, never the key."""

    tenant: str
    scopes: frozenset[str]
    name: str


OPERATOR: Final = Identity(DEFAULT_TENANT, frozenset(SCOPES), "operator")
"""Whoever has TRIREME_API_KEY, or sits at the machine of a server that listens on loopback and has no keys."""
