"""The folder is the trust boundary: who may import whom, and who may read the environment."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "privacy": set(),
    "gpu": set(),
    "graph": {"privacy"},
    "memory": {"privacy"},
    "serving": {"graph", "memory", "gpu", "privacy"},
}
KEPT_OUT = {
    "graph": {"psycopg", "psycopg_pool", "fastapi", "starlette", "httpx", "litellm", "openai", "anthropic", "mem0"},
    "serving/cli": {"litellm", "mem0", "langgraph", "presidio_analyzer", "duckdb"},
    "serving/api": {"litellm", "mem0", "langgraph", "duckdb"},
}
ONLY_FOR_WORKERS = {"langgraph", "langchain_core", "litellm", "mem0", "duckdb", "presidio_analyzer", "pypdf"}
READS_THE_ENVIRONMENT = {
    "serving/settings.py": "the one place for settings",
    "serving/processes/stack.py": "hands the environment on to the processes it starts",
    "serving/models/router.py": "LiteLLM reads a switch from the environment when it is imported",
    "memory/engine.py": "mem0 reads its switches from the environment when it is imported",
    "gpu/modal_app.py": "runs alone inside Modal's container",
}


def _files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_its_arrow_allows(folder: str) -> None:
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[folder] - {folder} | {"tests"}
    breaches = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _files(folder)
        for name in _imports(path)
        if name.split(".")[0] in forbidden
    ]
    assert not breaches


@pytest.mark.parametrize("folder", KEPT_OUT)
def test_a_folder_keeps_out_what_is_not_its_business(folder: str) -> None:
    breaches = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _files(folder)
        for name in _imports(path)
        if name.split(".")[0] in KEPT_OUT[folder]
    ]
    assert not breaches


def test_the_api_and_the_command_line_load_without_what_only_a_worker_needs() -> None:
    code = "import sys, serving.wiring, serving.api.app, serving.cli.run, serving.cli.doctor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "serving.wiring" in loaded
    assert ONLY_FOR_WORKERS.isdisjoint(loaded)


def test_only_named_files_read_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for folder in MAY_IMPORT
        for path in _files(folder)
        if any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and _is_os(node.value)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
        )
    }
    assert readers <= set(READS_THE_ENVIRONMENT)


def _is_os(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "os"


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = {"utils", "core", "common", "helpers", "base", "manager"}
    found = [path for folder in MAY_IMPORT for path in _files(folder) if {path.stem, *path.parts} & vague]
    assert not found
