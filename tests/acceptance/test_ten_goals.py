"""Ten goals over a folder of our own: exact figures, the right file cited, and a plain no where it holds no answer."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.acceptance.conftest import Up, collection_of
from tests.acceptance.garden import write_garden

View = dict[str, Any]
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_NO = re.compile(r"\b(?:do(?:es)?n['’]t|do(?:es)? not|nothing|no answer|not (?:found|answered|in the documents))\b")


@dataclass(frozen=True, slots=True)
class Goal:
    """`says` and `figures` must all stand in the answer, and `cites` among its sources."""

    text: str
    cites: tuple[str, ...]
    figures: tuple[float, ...] = ()
    says: tuple[str, ...] = ()


GOALS = {
    "look-up": Goal(
        "How warm must the Tropical House be kept at night?", ("greenhouses/tropical-house.md",), figures=(18,)
    ),
    "look-up-in-html": Goal("What does a family ticket cost?", ("visitors/tickets.html",), figures=(26.50,)),
    "look-up-in-pdf": Goal(
        "Which boiler was replaced in March 2026?", ("operations/heating-report.pdf",), says=("Boiler B2",)
    ),
    "comparison": Goal(
        "Which of the three glasshouses uses the most water a week?",
        ("greenhouses/tropical-house.md",),
        figures=(4200,),
        says=("Tropical House",),
    ),
    "sum": Goal(
        "What did the repairs after the February storm cost altogether?",
        ("operations/storm-repairs.md",),
        figures=(555.40,),
    ),
    "share": Goal("How much is 15 % of the heating cost of 2025?", ("operations/heating-report.pdf",), figures=(7230,)),
    "table-count": Goal(
        "How many plants in the Desert House are alive?", ("collections/accessions.csv",), figures=(4,)
    ),
    "table-sum": Goal(
        "What is the net total of the purchases that are not paid?", ("finance/purchases.csv",), figures=(2345.65,)
    ),
    "combined": Goal(
        "What is the net total of the purchases from Mossbank Peat, and which delivery surcharge does it add?",
        ("finance/purchases.csv", "operations/suppliers.md"),
        figures=(1835.50, 35),
    ),
}
UNANSWERABLE = "What salary does the head gardener get?"
GROUPED = "Net total of the purchases by category"
BY_CATEGORY = {"tools": 557.00, "soil": 1835.50, "glass": 3760.00, "irrigation": 1504.25}


def figures_in(text: str) -> set[float]:
    return {float(found.replace(",", "")) for found in _NUMBER.findall(text)}


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_garden(tmp_path_factory.mktemp("garden"))


@pytest.fixture(scope="module")
def first(up: Up, garden: Path) -> View:
    """The look-up by the command line, which sends the folder on its way."""
    done = up.home.run("run", GOALS["look-up"].text, "--docs", str(garden), "--json")
    assert done.returncode == 0, done.stderr
    answer: View = orjson.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def answers(up: Up, first: View) -> dict[str, View]:
    """All goals at once, over HTTP."""
    collection = collection_of(up, first["run_id"])
    goals = {name: goal.text for name, goal in GOALS.items()} | {"unanswerable": UNANSWERABLE, "grouped": GROUPED}

    def ask(text: str) -> View:
        body = {"goal": text, "collection": collection}
        view: View = httpx.post(f"{up.url}/runs", params={"wait": True}, json=body, timeout=120).json()
        return view

    with ThreadPoolExecutor(4) as asking:
        return dict(zip(goals, asking.map(ask, goals.values()), strict=True))


@pytest.mark.parametrize("name", GOALS)
def test_a_goal_gets_its_exact_cited_answer(name: str, answers: dict[str, View]) -> None:
    goal, view = GOALS[name], answers[name]
    assert view["status"] == "success", view["error"]
    assert view["model"] == "offline"
    assert not view["partial"], view["note"]
    missing = set(goal.figures) - figures_in(view["answer"]) | {w for w in goal.says if w not in view["answer"]}
    assert not missing, f"{goal.text}\n{view['answer']}"
    assert set(goal.cites) <= {source["path"] for source in view["sources"]}, view["answer"]
    numbers = {source["number"] for source in view["sources"]}
    assert {int(mark) for mark in re.findall(r"\[(\d+)\]", view["answer"])} == numbers


def test_a_table_is_summed_by_group(answers: dict[str, View]) -> None:
    view = answers["grouped"]
    for category, total in BY_CATEGORY.items():
        line = next((line for line in view["answer"].splitlines() if category in line), "")
        assert total in figures_in(line), view["answer"]
    assert [source["path"] for source in view["sources"]] == ["finance/purchases.csv"]


def test_what_the_documents_do_not_say_is_plainly_refused(answers: dict[str, View]) -> None:
    view = answers["unanswerable"]
    assert view["status"] == "success", view["error"]
    assert _NO.search(view["answer"]), view["answer"]
    assert view["sources"] == []
    assert "EUR" not in view["answer"]


def test_a_pdf_is_cited_with_its_page(answers: dict[str, View]) -> None:
    pages = {source["page"] for source in answers["look-up-in-pdf"]["sources"]}
    assert pages == {1}


def test_the_command_line_and_http_give_the_same_answer(first: View, answers: dict[str, View]) -> None:
    assert first["answer"] == answers["look-up"]["answer"]
    assert first["sources"] == answers["look-up"]["sources"]
