"""Who a request is from, and what it may do."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from serving.auth.user import User

Scope: TypeAlias = Literal["read", "write", "metrics"]
"""read: look at what the tenant has; write: create, decide, change, delete; metrics: the figures of all tenants."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
DEFAULT_TENANT: Final = "default"
PASSED: Final = "trireme.passed"
"""In the scope of a request that langgraph.json's `auth` let through to its route: what it must hold that is there."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`name` is for logs: a key's prefix, never the key. `user`: whom langgraph.json's `auth` let in."""

    tenant: str
    scopes: frozenset[str]
    name: str
    user: User | None = field(default=None, compare=False)


OPERATOR: Final = Identity(DEFAULT_TENANT, frozenset(SCOPES), "operator")
"""Whoever has TRIREME_API_KEY, or sits at the machine of a server that listens on loopback and has no keys."""

NOBODY: Final = Identity(DEFAULT_TENANT, frozenset(), "nobody")
"""Whoever comes to a route of the user's own that asks for no credentials; ours are shut to them."""

INSIDE: Final = "trireme.inside"
"""In the scope of a request that hosted code makes of its own server, which no client can say: who it is from."""

WORKS_FOR: Final[ContextVar[str]] = ContextVar("works_for")
"""The tenant whose run, or request, the code at hand works on."""


def tenant_at_work() -> str:
    """Raises LookupError in a thread that was begun without its beginner's context: another tenant's it must not be."""
    try:
        return WORKS_FOR.get()
    except LookupError:
        told = "this thread doesn't know whose run it works for: begin it by asyncio.to_thread, or"
        raise LookupError(f"{told} with contextvars.copy_context().run") from None
