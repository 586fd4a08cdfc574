"""Every setting of Trireme, read from the environment and `.env` once, here alone."""

import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.addresses import is_web_address
from serving.errors import SettingsError


def default_home() -> Path:
    """Where the embedded database, the vault and logs rest when TRIREME_HOME is not set."""
    if os.geteuid() == 0:
        return Path("/var/lib/trireme")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "trireme"


def _home(given: Path) -> Path:
    if "\n" in str(given):
        raise ValueError("must hold no line break, as Postgres writes its folder's name into one line")
    return given.absolute()


class Settings(BaseSettings):
    """Names without a prefix are the field's own (DATABASE_URL, OPENAI_API_KEY); ours begin with TRIREME_."""

    model_config = SettingsConfigDict(env_prefix="TRIREME_", env_file=".env", extra="ignore", frozen=True)

    home: Annotated[Path, AfterValidator(_home)] = Field(default_factory=default_home)
    database_url: str = Field(default="", validation_alias="DATABASE_URL")
    host: str = "127.0.0.1"
    port: int = Field(default=8123, ge=0, le=65535)
    url: str = Field(default="", description="a running server to talk to instead of starting one")
    api_key: SecretStr | None = Field(default=None, description="a key of the default tenant that may do everything")
    cors_origins: str = Field(default="", description="pages that may use the server, comma-separated; * for all")
    routes: Path | None = Field(default=None, description="a routes.yaml in LiteLLM's shape")
    config: Path | None = Field(default=None, description="a langgraph.json whose graphs are hosted")
    model: str = Field(default="", description="the model to use, as LiteLLM names it")
    known_names: Path | None = Field(default=None, description="a file of names to redact, one a line")
    vault_key: SecretStr | None = Field(default=None, description="32 bytes in base64; the same for all processes")
    parent: int = Field(default=0, description="pid of the stack's owner; its death ends this process")
    lease_s: float = Field(default=10.0, ge=1, le=100)
    heartbeat_s: float = Field(default=3.0, gt=0)
    stall_s: float = Field(default=60.0, ge=5, description="a worker whose event loop is stuck for longer ends")
    worker_concurrency: int = Field(default=8, ge=1, le=2_000)
    api_concurrency: int = Field(default=100, ge=1, description="requests in work at a time; beyond, 503 at once")
    slow_reader_s: float = Field(default=30.0, gt=0, description="a stream's reader that takes nothing is cut after it")
    approval_ttl_s: float = Field(default=7 * 86_400, gt=0)
    webhook_networks: str = Field(
        default="", description="networks beside public ones that webhooks may reach, comma-separated"
    )
    webhook_timeout_s: float = Field(default=15.0, ge=1, le=60, description="a receiver answers within it")
    webhook_retry_s: float = Field(default=5.0, gt=0, le=3_600, description="the first pause; each is six times longer")
    studio_docs: Path | None = Field(default=None, description="documents for Studio's runs that name no collection")

    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY")
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    gemini_api_key: SecretStr | None = Field(default=None, validation_alias="GEMINI_API_KEY")
    openai_base_url: str = Field(default="", validation_alias="OPENAI_BASE_URL")

    langfuse_public_key: str = Field(default="", validation_alias="LANGFUSE_PUBLIC_KEY")
    langfuse_secret_key: SecretStr | None = Field(default=None, validation_alias="LANGFUSE_SECRET_KEY")
    langfuse_base_url: str = Field(default="", validation_alias="LANGFUSE_BASE_URL")

    faults: str = Field(default="", description="where to break this process on purpose, as graph/faults.py says")
    testing: bool = Field(default=False, description="whether TRIREME_FAULTS may be set")

    editor: str = Field(default="vi", validation_alias=AliasChoices("VISUAL", "EDITOR"))

    smtp_url: SecretStr | None = Field(default=None, validation_alias="SMTP_URL")
    smtp_from: str = "trireme@localhost"

    @field_validator("heartbeat_s")
    @classmethod
    def _within_the_lease(cls, seconds: float, others: ValidationInfo) -> float:
        if seconds > others.data.get("lease_s", seconds * 2) / 2:
            raise ValueError("must be at most half of TRIREME_LEASE_S")
        return seconds

    @field_validator("openai_base_url")
    @classmethod
    def _leads_somewhere(cls, url: str) -> str:
        if url and not is_web_address(url):
            raise ValueError("must begin with http:// or https:// and name a host, such as http://127.0.0.1:8000/v1")
        return url

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        if key and not re.fullmatch(r"[\x21-\x7e]+", key.get_secret_value()):
            raise ValueError("must be visible ASCII characters")
        return key

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment, for `os.environ/NAME` in a routes.yaml."""
        return os.environ

    @cached_property
    def server_url(self) -> str:
        return self.url.rstrip("/") or f"http://{self.host}:{self.port}"


def secret_of(setting: SecretStr | None) -> str:
    return setting.get_secret_value() if setting else ""


def add_environment(values: Mapping[str, str]) -> None:
    """For hosted graphs, which read the process's own: what is set there already stays."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def forget_environment(names: Iterable[str]) -> None:
    """For this process and those that it starts."""
    for name in names:
        os.environ.pop(name, None)


def load_settings() -> Settings:
    """Raises SettingsError with the variable's name and what it takes."""
    try:
        return Settings()
    except UnicodeDecodeError as error:
        raise SettingsError(f".env is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f".env can't be read: {error.strerror}", "check its permissions") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        variable = name if name.isupper() else f"TRIREME_{name.upper()}"
        raise SettingsError(f"{variable}: {said[0].lower()}{said[1:]}", "see .env.example for what it takes") from None
