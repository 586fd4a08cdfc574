"""What langgraph.json says of webhooks: where they may go, and what they carry beside their signature."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from serving.errors import SettingsError
from serving.webhooks.address import AddressRefused

_VARIABLE: Final = re.compile(r"\$\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS: Final = frozenset({"host", "content-type", "content-length", "transfer-encoding", "connection", "user-agent"})
_PORTS: Final = {"http": 80, "https": 443}


class UrlRules(BaseModel):
    """Beside what holds anyway: a full address, to a host that isn't private. A domain `*.example.com` is each below
    it, without itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    require_https: bool = False
    allowed_domains: tuple[str, ...] = ()
    allowed_ports: tuple[int, ...] = ()
    max_url_length: int | None = Field(default=None, ge=1)
    disable_loopback: bool = False  # of addresses without a host, which are never taken here

    def check(self, url: str) -> None:
        """Raises AddressRefused."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if self.max_url_length and len(url) > self.max_url_length:
            raise _refused(f"a webhook's address has at most {self.max_url_length} characters here")
        if self.require_https and parts.scheme != "https":
            raise _refused("webhooks go to https addresses alone")
        if self.allowed_domains and not any(_is_in(host, domain.lower()) for domain in self.allowed_domains):
            raise _refused("webhooks don't go to this host")
        if self.allowed_ports and (parts.port or _PORTS.get(parts.scheme)) not in self.allowed_ports:
            raise _refused("webhooks don't go to this port")


class Webhooks(BaseModel):
    """`headers` may hold ${{ env.NAME }}, where NAME begins with `env_prefix`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    env_prefix: str = Field(default="LG_WEBHOOK_", min_length=1)
    url: UrlRules = UrlRules()
    headers: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("url", "headers", mode="before")
    @classmethod
    def _nothing_is_the_default(cls, block: Any) -> Any:
        return {} if block is None else block

    @model_validator(mode="after")
    def _check_headers(self) -> "Webhooks":
        for name, value in self.headers.items():
            if not _NAME.fullmatch(name) or name.lower() in _OURS or name.lower().startswith("webhook-"):
                raise ValueError(f"headers: {name[:60]!r} can't be sent along; choose another name")
            for variable in _VARIABLE.findall(value):
                if not variable.startswith(self.env_prefix):
                    mend = f"name one that begins with {self.env_prefix}, or change env_prefix"
                    raise ValueError(f"headers.{name}: {variable} may not be used; {mend}")
        return self

    def filled(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The headers as they are sent. Raises SettingsError for a variable that isn't set."""
        return {name.lower(): _filled(name, value, environ) for name, value in self.headers.items()}


def _filled(name: str, value: str, environ: Mapping[str, str]) -> str:
    if missing := [variable for variable in _VARIABLE.findall(value) if variable not in environ]:
        raise SettingsError(
            f"webhooks.headers.{name} needs {missing[0]}, which isn't set", "set it, or put it into env"
        )
    filled = _VARIABLE.sub(lambda found: environ[found[1]], value)
    if not filled.isprintable() or not filled.isascii():
        raise SettingsError(f"webhooks.headers.{name} is no header's value", "use printable ASCII characters")
    return filled


def _is_in(host: str, domain: str) -> bool:
    return host.endswith(domain[1:]) if domain.startswith("*.") else host == domain


def _refused(what: str) -> AddressRefused:
    return AddressRefused(what, "the server's operator says where: webhooks.url in langgraph.json")
