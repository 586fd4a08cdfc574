"""langgraph.json as users have it: which graphs the server hosts, and what they find around them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from serving.errors import SettingsError
from serving.hosting.http import Http, Open
from serving.hosting.unused import unused
from serving.webhooks.rules import Webhooks

AGENT: Final = "trireme"  # the id of planner, worker and critic, which every server has
_OUR_OWN: Final = "serving.studio:graph"
# Whoever wrote it expects what it protects to be protected: it must not be passed over.
_REFUSED: Final = "custom encryption isn't run here", "remove it, and encrypt the database's disk"


def is_hosted(graph: str | None) -> bool:
    """Whether a run's graph is a user's; goals alone have none."""
    return graph not in (None, AGENT)


class GraphEntry(Open):
    """`path` is MODULE:NAME or FILE.py:NAME, the file relative to langgraph.json."""

    path: str = Field(pattern=r"^[^:\x00]+:[A-Za-z_][A-Za-z0-9_.]*$")
    description: str | None = None


class Index(Open):
    """What the store searches by meaning: `embed` is PROVIDER:MODEL or FILE.py:NAME."""

    dims: int = Field(ge=1, le=16_000)
    embed: str = Field(min_length=1)
    fields: tuple[str, ...] | None = None


class StoreLife(Open):
    """In minutes."""

    refresh_on_read: bool = True
    default_ttl: float | None = Field(default=None, gt=0)
    sweep_interval_minutes: float | None = Field(default=None, gt=0)


class Store(Open):
    index: Index | None = None
    ttl: StoreLife | None = None
    path: str | None = None

    @field_validator("path")
    @classmethod
    def _is_ours(cls, path: str | None) -> str | None:
        """Whoever names another one expects their items there, and nowhere else."""
        if path:
            raise ValueError("items are kept in the server's Postgres, and in no other store; remove it")
        return path


class ThreadLife(Open):
    """In minutes; `default_ttl` counts from a thread's last change."""

    strategy: Literal["delete", "keep_latest"] = "delete"
    default_ttl: float | None = Field(default=None, gt=0)
    sweep_interval_minutes: float | None = Field(default=None, gt=0)
    sweep_limit: int | None = Field(default=None, ge=1)


class Checkpointer(Open):
    ttl: ThreadLife | None = None
    path: str | None = None
    backend: str | None = None

    @field_validator("path", "backend")
    @classmethod
    def _is_ours(cls, named: str | None) -> str | None:
        """Another one would have no fence: two workers could write one thread."""
        if named not in (None, "", "default"):
            raise ValueError("checkpoints are kept in the server's Postgres, and in no other; remove it")
        return named


class CustomAuthentication(Open):
    """`path` names an `Auth` of langgraph_sdk. LangGraph Studio needs no credentials where the file itself says that
    `disable_studio_auth` is false, and the server is open to whoever sits at its machine."""

    path: str = Field(pattern=r"^[^:\x00]+:[A-Za-z_][A-Za-z0-9_.]*$")
    disable_studio_auth: bool = True


class Source(Open):
    root: str = "."


class Hosting(Open):
    """`folder` is where the file lies; relative paths in it begin there. `unused`: what it says without effect."""

    folder: Path
    graphs: dict[str, GraphEntry]
    dependencies: tuple[str, ...] = ()
    source: Source | None = None
    env: Mapping[str, str] = Field(default_factory=dict)
    auth: CustomAuthentication | None = None
    http: Http = Http()
    store: Store = Store()
    checkpointer: Checkpointer = Checkpointer()
    webhooks: Webhooks = Webhooks()
    unused: tuple[str, ...] = ()

    @field_validator("graphs", mode="before")
    @classmethod
    def _in_full(cls, graphs: Any) -> Any:
        if not isinstance(graphs, dict):
            return graphs
        entries = {id_: {"path": entry} if isinstance(entry, str) else entry for id_, entry in graphs.items()}
        return {id_: entry for id_, entry in entries.items() if entry != {"path": _OUR_OWN} and not _is_our_own(entry)}

    @field_validator("http", "store", "checkpointer", "webhooks", mode="before")
    @classmethod
    def _nothing_is_the_default(cls, block: Any) -> Any:
        return {} if block is None else block

    @model_validator(mode="after")
    def _keep_the_agent(self) -> "Hosting":
        if AGENT in self.graphs:
            raise ValueError(f"graphs.{AGENT}: the server's own agent has this id; choose another one")
        return self

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders from which the graphs import, the first one first."""
        named = [self.folder / name for name in (*self.dependencies, self.source.root if self.source else ".")]
        folders = [path.resolve() for path in (*named, self.folder) if path.is_dir()]
        return tuple(dict.fromkeys(each for path in folders for each in (path, path / "src") if each.is_dir()))


def read_hosting(path: Path) -> Hosting:
    """Raises SettingsError that names file, field and the mend."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _fault(path, "", error.strerror or str(error), "name a readable langgraph.json") from None
    except UnicodeDecodeError as error:
        raise _fault(path, "", f"byte {error.start} is not UTF-8", "save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise _fault(path, "", f"line {error.lineno}: {error.msg}", "mend the JSON") from None
    if not isinstance(data, dict):
        raise _fault(path, "", "no JSON object", 'write {"graphs": {"agent": "./agent.py:graph"}}')
    if data.get("encryption"):
        raise _fault(path, "encryption", *_REFUSED)
    folder = path.resolve().parent
    _check_folders(path, folder, data.get("dependencies"))
    env = _environment(path, folder, data.get("env") or {})
    try:
        return Hosting.model_validate({**data, "folder": folder, "env": env, "unused": tuple(unused(data, Hosting))})
    except ValidationError as error:
        raise _invalid(path, error) from None


def _is_our_own(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("path") == _OUR_OWN


def _check_folders(path: Path, folder: Path, dependencies: Any) -> None:
    for at, name in enumerate(dependencies if isinstance(dependencies, list) else ()):
        if isinstance(name, str) and name.startswith((".", "/")) and not (folder / name).is_dir():
            raise _fault(path, f"dependencies[{at}]", f"there is no folder {name}", "it is relative to the file")


def _environment(path: Path, folder: Path, env: Any) -> dict[str, str]:
    if isinstance(env, str):
        from dotenv import dotenv_values

        if not (folder / env).is_file():
            raise _fault(path, "env", f"there is no file {env}", "it is relative to langgraph.json")
        return {name: value for name, value in dotenv_values(folder / env).items() if value is not None}
    if isinstance(env, dict) and all(isinstance(value, str | int | float) for value in env.values()):
        return {name: str(value) for name, value in env.items()}
    raise _fault(path, "env", "neither a file nor a mapping of names to texts", 'write {"NAME": "value"} or ".env"')


def _invalid(path: Path, error: ValidationError) -> SettingsError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return _fault(path, place, "missing", "add it")
    if first["type"] == "string_pattern_mismatch":
        return _fault(path, place, "names no object", "write MODULE:NAME, or FILE.py:NAME")
    what, _, mend = first["msg"].removeprefix("Value error, ").partition("; ")
    return _fault(path, place, what, mend or "see LangGraph's reference of langgraph.json for what it takes")


def _fault(path: Path, field: str, what: str, mend: str) -> SettingsError:
    where = f"{path}: {field}: " if field else f"{path}: "
    return SettingsError(where + what, mend, "bad_langgraph_json")
