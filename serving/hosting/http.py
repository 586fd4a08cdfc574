"""What langgraph.json says of the server's own routes and of the pages and headers that come to them."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_OUR_OWN_APP: Final = "serving.studio:app"
# What says who the caller is: a graph never sees it, whatever the file names.
_SECRET: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-api-key", "x-service-key", "x-tenant-id"}
)


class Open(BaseModel):
    """The file is other tools' as well: fields that are theirs have no effect, and are named in `Hosting.unused`."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Cors(Open):
    allow_origins: tuple[str, ...] = ()
    allow_origin_regex: str | None = None
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    expose_headers: tuple[str, ...] = ()
    max_age: int = Field(default=600, ge=0)


class HeaderPatterns(Open):
    """Names of headers, with `*` for any letters; what is in both is left out."""

    includes: tuple[str, ...] | None = None
    excludes: tuple[str, ...] | None = None

    def chosen(self, headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Their names in small letters."""
        yield from ((name, headers[name]) for name in {name.lower() for name in headers} if self.has(name))

    def has(self, name: str) -> bool:
        """In small letters."""
        included = name not in _SECRET and _is_one(name, self.includes or ())
        return included and not _is_one(name, self.excludes or ())


class Http(Open):
    """`app` is an ASGI application whose routes are served beside ours, behind the same API keys, and whose
    middleware is around all routes, before the keys are looked at or, with `auth_first`, behind that. `mount_prefix` is
    where all routes are served as well. `enable_custom_route_auth`: whether the routes of `app` ask for credentials;
    open they are only where the file says so."""

    app: str | None = Field(default=None, pattern=r"^[^:\x00]+:[A-Za-z_][A-Za-z0-9_.]*$")
    cors: Cors | None = None
    configurable_headers: HeaderPatterns | None = None
    disable_assistants: bool = False
    disable_threads: bool = False
    disable_runs: bool = False
    disable_store: bool = False
    disable_meta: bool = False
    disable_webhooks: bool = False
    enable_custom_route_auth: bool | None = None
    mount_prefix: str = ""
    middleware_order: Literal["middleware_first", "auth_first"] | None = None

    @field_validator("app")
    @classmethod
    def _is_the_users(cls, app: str | None) -> str | None:
        return None if app == _OUR_OWN_APP else app

    @field_validator("mount_prefix", mode="before")
    @classmethod
    def _begins_with_a_slash(cls, prefix: object) -> str:
        path = str(prefix or "").rstrip("/")
        if path and not (path.startswith("/") and path.replace("/", "").isascii() and "//" not in path):
            raise ValueError("is no path; write one such as /api")
        return path

    @property
    def off(self) -> frozenset[str]:
        """The groups of routes that aren't served."""
        groups = ("assistants", "threads", "runs", "store", "meta")
        return frozenset(group for group in groups if getattr(self, f"disable_{group}"))


def _is_one(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern.lower()) for pattern in patterns)
