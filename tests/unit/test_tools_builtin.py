"""The built-in tools: thin over their ports, with answers and errors that a model can use."""

import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from graph.ports import DocumentInfo, Hit, Overview, TableResult, ToolCall
from graph.state import Source
from graph.tools.builtin import builtin_tools
from graph.tools.builtin.artifacts import file_name, media_type
from graph.tools.registry import Registry
from graph.tools.runner import ToolRunner
from serving.mail import OutboxMailer
from serving.runs.artifacts import MemoryArtifacts
from serving.runs.decisions.approvals import MemoryApprovals
from serving.runs.ledger import MemoryLedger


class Folder:
    """Documents of a real folder: a hit is a line that holds a word of the query."""

    def __init__(self, root: Path) -> None:
        self._texts = {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.md"))}

    async def overview(self) -> Overview:
        infos = (DocumentInfo(path=p, media_type="text/markdown", characters=len(t)) for p, t in self._texts.items())
        return Overview(documents=tuple(infos))

    async def search(self, query: str, limit: int = 6) -> tuple[Hit, ...]:
        words = query.lower().split()
        found = [
            Hit(source=Source(ref=f"{path}#{number}", path=path, heading="Terms"), text=line, score=1 / 3)
            for path, text in self._texts.items()
            for number, line in enumerate(text.splitlines())
            if any(word in line.lower() for word in words)
        ]
        return tuple(found[:limit])

    async def read(self, path: str, offset: int = 0, limit: int = 8_000) -> str:
        return self._texts[path][offset : offset + limit]


class Csv:
    """DuckDB over one CSV file."""

    def __init__(self, path: Path) -> None:
        self._database = duckdb.connect()
        self._database.execute("create table sales as select * from read_csv($path)", {"path": str(path)})

    async def query(self, sql: str) -> TableResult:
        try:
            found = self._database.execute(sql)
        except duckdb.Error as error:
            raise ValueError(str(error).splitlines()[0]) from None
        columns = tuple(column[0] for column in found.description)
        return TableResult(columns=columns, rows=tuple(found.fetchall()), truncated=False, tables=("sales.csv",))


class Bench:
    """A run over a small real folder."""

    def __init__(self, folder: Path) -> None:
        (folder / "docs/legal").mkdir(parents=True)
        (folder / "docs/legal/contract.md").write_text("Notice period is 30 days.\nPayment within 14 days.\n")
        (folder / "docs/handbook.md").write_text("a" * 9_000)
        with (folder / "sales.csv").open("w") as file:
            csv.writer(file).writerows([("region", "amount"), ("north", "10.50"), ("south", "4.25")])
        self.artifacts = MemoryArtifacts()
        tools = builtin_tools(
            Folder(folder / "docs"),
            Csv(folder / "sales.csv"),
            self.artifacts,
            OutboxMailer(folder / "outbox"),
        )
        self.runner = ToolRunner(Registry(tools), MemoryLedger(), MemoryApprovals(), "run-1")

    async def call(self, name: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Source, ...]]:
        result = await self.runner.run(ToolCall(id="c1", name=name, arguments=dict(arguments)), "s1")
        value: dict[str, Any] = orjson.loads(result.content)
        assert result.ok == ("error" not in value)
        return value, result.sources


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_search_returns_passages_with_refs_to_cite(bench: Bench) -> None:
    value, sources = await bench.call("search_documents", {"query": "notice"})
    assert value["hits"] == [
        {
            "ref": "legal/contract.md#0",
            "path": "legal/contract.md",
            "heading": "Terms",
            "page": None,
            "text": "Notice period is 30 days.",
            "score": 0.3333,
        }
    ]
    assert [source.ref for source in sources] == ["legal/contract.md#0"]


async def test_a_search_without_a_hit_is_no_error(bench: Bench) -> None:
    assert await bench.call("search_documents", {"query": "zebra"}) == ({"hits": []}, ())


async def test_a_document_is_read_in_parts(bench: Bench) -> None:
    first, _ = await bench.call("read_document", {"path": "handbook.md"})
    rest, sources = await bench.call("read_document", {"path": "handbook.md", "offset": 8_000})
    assert (len(first["text"]), first["total"], len(rest["text"]), rest["offset"]) == (8_000, 9_000, 1_000, 8_000)
    assert [source.ref for source in sources] == ["handbook.md"]


async def test_an_unknown_path_names_those_that_are_close(bench: Bench) -> None:
    value, _ = await bench.call("read_document", {"path": "docs/Contract.md"})
    assert value["error"]["code"] == "unknown_path"
    assert "legal/contract.md" in value["error"]["hint"]


async def test_reading_past_the_end_says_how_long_the_document_is(bench: Bench) -> None:
    value, _ = await bench.call("read_document", {"path": "handbook.md", "offset": 20_000})
    assert "9000 characters" in value["error"]["message"]


async def test_a_table_is_queried_and_cited(bench: Bench) -> None:
    value, sources = await bench.call("query_table", {"sql": "select sum(amount)::decimal(9,2) as total from sales"})
    assert (value["columns"], value["rows"], value["tables"]) == (["total"], [[14.75]], ["sales.csv"])
    assert [source.ref for source in sources] == ["sales.csv"]
    assert Decimal(str(value["rows"][0][0])) == Decimal("14.75")


async def test_wrong_sql_gives_the_engines_message(bench: Bench) -> None:
    value, _ = await bench.call("query_table", {"sql": "select amnt from sales"})
    assert value["error"]["code"] == "bad_sql"
    assert "amnt" in value["error"]["message"]


async def test_a_sum_is_done_exactly(bench: Bench) -> None:
    value, _ = await bench.call("calculate", {"expression": "15% of 2,340"})
    assert value == {"expression": "15% of 2,340", "value": "351"}


async def test_a_sum_that_cannot_be_done_says_why(bench: Bench) -> None:
    value, _ = await bench.call("calculate", {"expression": "1/0"})
    assert value["error"] == {"code": "bad_expression", "message": "division by zero", "hint": "check the divisor"}


async def test_an_artifact_is_kept_under_a_safe_name(bench: Bench) -> None:
    value, _ = await bench.call("write_artifact", {"name": "../../etc/report.md", "content": "# Done"})
    assert value["name"] == "report.md"
    assert bench.artifacts.files == {"report.md": ("text/markdown", "# Done")}


async def test_a_draft_is_kept_and_nothing_is_sent(bench: Bench, tmp_path: Path) -> None:
    value, _ = await bench.call("draft_email", {"to": "[EMAIL_1]", "subject": "Q3 / north", "body": "Hello"})
    assert value["sent"] is False
    assert value["name"].startswith("draft-Q3-")
    media, text = bench.artifacts.files[value["name"]]
    assert (media, text) == ("message/rfc822", "To: [EMAIL_1]\nSubject: Q3 / north\n\nHello\n")
    assert not (tmp_path / "outbox").exists()


async def test_a_second_line_in_a_header_is_refused(bench: Bench) -> None:
    arguments = {"to": "bo@example.com", "subject": "Hi\r\nBcc: all@example.com", "body": "x"}
    for tool in ("draft_email", "send_email"):
        value, _ = await bench.call(tool, arguments)
        assert value["error"]["code"] == "bad_arguments"
        assert value["error"]["message"].startswith("subject:")


@pytest.mark.parametrize(
    ("wanted", "name", "media"),
    [
        ("report.md", "report.md", "text/markdown"),
        ("/abs/olute/data.CSV", "data.CSV", "text/csv"),
        ("..\\..\\boot.ini", "boot.ini", "text/plain"),
        (".hidden", "hidden", "text/plain"),
        ("...", "artifact", "text/plain"),
        ("a\x00b\n<c>.json", "a-b-c-.json", "application/json"),
        ("x" * 200 + ".html", "x" * 115 + ".html", "text/html"),
        ("Größe 2026 (v2).txt", "Größe 2026 (v2).txt", "text/plain"),
    ],
)
def test_file_names_are_plain_visible_and_short(wanted: str, name: str, media: str) -> None:
    assert (file_name(wanted), media_type(name)) == (name, media)
