"""infra/compatibility.md, which `make test-cluster` writes, is about the SDK that is installed."""

from pathlib import Path

import langgraph_sdk

from tests.sdk.compatibility.page import PAGE, listed
from tests.sdk.compatibility.surface import SIDES, surface

HINT = "the page is stale: run make test-cluster, which writes it"


def test_the_page_has_every_method_and_parameter_of_the_sdk_and_no_other() -> None:
    there = {method.name: method for side in reversed(SIDES) for method in surface(side).values()}
    assert listed() == {(name, each) for name, method in there.items() for each in ("", *method.parameters)}, HINT
    assert f"langgraph_sdk {langgraph_sdk.__version__}," in PAGE.read_text(), HINT


def test_the_page_names_tests_that_there_are() -> None:
    tests = {path.stem: path.read_text() for path in (Path(__file__).parents[1] / "sdk").glob("test_*.py")}
    named = {
        tuple(row.split(" | ")[-1].rstrip(" |").split()) for row in PAGE.read_text().splitlines() if " test_" in row
    }
    assert len(named) > 20
    for module, function in named:
        assert f"def {function}(" in tests[module], HINT
