"""Both notebooks run as they are, in this environment's kernel, without a key; their table and plot are looked at."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ("compare_prompts", "compare_routes")
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENAI_BASE_URL", "TRIREME_MODEL", "TRIREME_ROUTES")
FIGURES = ("quality", "latency_s", "cost_usd", "cached_share")
pytestmark = pytest.mark.timeout(900)  # a cell has 300


@pytest.fixture(scope="module")
def executed() -> Iterator[dict[str, Any]]:
    """Name to the notebook with its outputs; the two kernels work at the same time."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as threads:
        for key in (*KEYS, "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"):
            patch.delenv(key, raising=False)
        yield dict(zip(NAMES, threads.map(_execute, NAMES), strict=True))


def _read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def _execute(name: str) -> Any:
    notebook = _read(name)
    code = nbformat.v4.new_code_cell("print(table.to_json(orient='index'))")  # type: ignore[no-untyped-call]
    notebook.cells.append(code)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}})
    return asyncio.run(client.async_execute())


def _printed(notebook: Any) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads(notebook.cells[-1].outputs[0].text)
    return table


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_outputs(name: str) -> None:
    notebook = _read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_ends_with_one_table_and_one_plot(name: str, executed: dict[str, Any]) -> None:
    rows = _printed(executed[name])
    assert len(rows) == 2
    for row in rows.values():
        assert row["model"] == "offline"
        assert 0.5 <= row["quality"] <= 1
        assert 0 < row["latency_s"] <= row["slowest_s"]
        assert row["cost_usd"] == 0
        assert 0.3 < row["cached_share"] < 1
        assert set(FIGURES) < set(row)
    shown = [output for cell in executed[name].cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 1
    assert sum("text/html" in output.get("data", {}) for output in shown) >= 2


def test_a_changed_prompt_has_another_hash_and_costs_its_tokens(executed: dict[str, Any]) -> None:
    rows = _printed(executed["compare_prompts"])
    assert list(rows) == ["shipped", "changed"]
    assert rows["changed"]["input_tokens"] > rows["shipped"]["input_tokens"]
    cell = next(cell for cell in executed["compare_prompts"].cells if cell.source.endswith("\nversions"))
    header, *lines = cell.outputs[0].data["text/plain"].splitlines()
    shipped, changed = (dict(zip(header.split(), line.split()[1:], strict=True)) for line in lines)
    assert {role for role in shipped if shipped[role] != changed[role]} == {"worker"}


def test_one_conversation_carries_more_input_than_a_thread_each(executed: dict[str, Any]) -> None:
    rows = _printed(executed["compare_routes"])
    assert list(rows) == ["offline", "offline, one thread"]
    assert rows["offline, one thread"]["input_tokens"] > rows["offline"]["input_tokens"]
