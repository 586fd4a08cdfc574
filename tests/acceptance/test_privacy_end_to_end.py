"""What is personal is seen by the person alone: no database, file, log, trace or model provider has it in clear."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import httpx
import orjson
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.hosted import ACCEPT, PLAN, Hosted, reported, story, tool
from tests.acceptance.processes import wait_until
from tests.integration.model_server import Answer, Seen

IN_GOAL = ("despina.seed@example.com", "+30 21 0555 0177", "GR16 0110 1250 0000 0001 2300 695", "4111 1111 1111 1111")
IN_DOCUMENTS = ("aris.seed@example.org", "+49 30 5550 1234", "DE89 3704 0044 0532 0130 00", "5555 5555 5555 4444")
IN_REQUEST = ("eleni.seed@example.net", "+44 20 7946 0958", "FR14 2004 1010 0505 0001 3M02 606", "3782 822463 10005")
NAMES = ("Despina Seedling", "Aris Saplingson", "Eleni Sproutwell")
ALL = (*IN_GOAL, *IN_DOCUMENTS, *IN_REQUEST, *NAMES)
_KINDS = {"EMAIL", "PHONE", "IBAN", "CARD", "NAME"}
_HAVE_PLACEHOLDERS = {"public.run_events", "public.state_checkpoints", "public.state_values", "public.chunks"}
_PLACEHOLDER = re.compile(r"\[[A-Z]+(?:_[A-Z]+)*_S?\d+\]")
_TABLES: LiteralString = """
    select format('%I.%I', table_schema, table_name) from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')"""


def traces_of(value: str) -> set[bytes]:
    """The forms in which a value could lie somewhere: as it is, in small letters, without spaces, as a slug."""
    forms = {value, value.lower(), re.sub(r"[\s+]", "", value), re.sub(r"\s", "-", value.lower())}
    last = value.split()[-1] if value in NAMES else value
    return {form.encode() for form in {*forms, last}}


def found_in(content: bytes) -> list[str]:
    return [value for value in ALL if any(form in content for form in traces_of(value))]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Personal values in a text, a heading, a table, and in a file's name."""
    folder = tmp_path_factory.mktemp("papers")
    email, phone, iban, card = IN_DOCUMENTS
    (folder / "aris-saplingson.md").write_text(
        f"# Letter of Aris Saplingson\n\nThe refund goes to {iban}. Questions to {email} or {phone}.\n"
    )
    (folder / "payments.csv").write_text(f"customer,iban,card,amount_eur\nAris Saplingson,{iban},{card},120.50\n")
    return folder


@pytest.fixture(scope="module")
def asked(hosted: Hosted, papers: Path) -> tuple[str, list[Seen]]:
    """A run by the command line, twice: the model learns the placeholders, then says them. What it printed and saw."""
    email, phone, iban, card = IN_GOAL
    goal = (
        f"I am Despina Seedling, {email}, {phone}, IBAN {iban}, card {card}. Where goes the refund of Aris Saplingson?"
    )
    arguments = ("run", goal, "--docs", str(papers))
    seen = hosted.says(
        PLAN, tool("search_documents", query="refund"), reported("see there"), ACCEPT, Answer(text="Done.")
    )
    first = hosted.up.home.run(*arguments)
    assert first.returncode == 0, first.stdout + first.stderr
    prompts = json.dumps([request.body["messages"] for request in seen])
    known = " ".join(dict.fromkeys(_PLACEHOLDER.findall(prompts)))
    seen_again = hosted.says(*story(f"It goes to: {known}."))
    second = hosted.up.home.run(*arguments)
    assert second.returncode == 0, second.stdout + second.stderr
    return second.stdout, [*seen, *seen_again]


@pytest.fixture(scope="module")
def answered(hosted: Hosted) -> tuple[str, str, list[Seen]]:
    """The same by a raw request, whose text the server redacts itself: the answer, the stream, what the model saw."""
    email, phone, iban, card = IN_REQUEST
    goal = f"I am Eleni Sproutwell, {email}, {phone}, IBAN {iban}, card {card}. Repeat what you know of me."
    with httpx.Client(base_url=hosted.up.url, timeout=60) as client:
        seen = hosted.says(*story("Done."))
        client.post("/runs", params={"wait": True}, json={"goal": goal})
        known = " ".join(dict.fromkeys(_PLACEHOLDER.findall(json.dumps(seen[0].body["messages"]))))
        seen_again = hosted.says(*story(f"You are {known}."))
        answer = client.post("/runs", params={"wait": True}, json={"goal": goal})
        stream = client.get(f"/runs/{answer.json()['run_id']}/events")
    return answer.text, stream.text, [*seen, *seen_again]


def test_the_person_reads_the_real_values(asked: tuple[str, list[Seen]]) -> None:
    printed = asked[0]
    for value in (*IN_GOAL, *IN_DOCUMENTS, "Despina Seedling", "Aris Saplingson"):
        assert value in printed, printed
    redactions = re.search(r"redactions (.*?) \|", printed)
    assert redactions is not None
    counts = {part.split()[0]: int(part.split()[1]) for part in redactions[1].split(", ")}
    assert set(counts) >= {"EMAIL", "PHONE", "IBAN"}


def test_a_raw_request_is_answered_with_the_real_values(answered: tuple[str, str, list[Seen]]) -> None:
    answer, stream, _ = answered
    text = orjson.loads(answer)["answer"]
    for value in (*IN_REQUEST, "Eleni Sproutwell"):
        assert value in text
    written = [line for line in stream.splitlines() if '"answer_written"' in line and line.startswith("data:")]
    assert all(value in written[0] for value in IN_REQUEST)


def test_the_model_provider_sees_placeholders_alone(
    asked: tuple[str, list[Seen]], answered: tuple[str, str, list[Seen]]
) -> None:
    requests = [*asked[1], *answered[2]]
    assert len(requests) >= 15
    sent = json.dumps([[request.path, request.headers, request.body] for request in requests], ensure_ascii=False)
    assert found_in(sent.encode()) == []
    assert {kind for kind in _KINDS if f"[{kind}" in sent} >= {"EMAIL", "PHONE", "IBAN", "NAME"}


def test_no_table_of_the_database_holds_a_value(hosted: Hosted, asked: object, answered: object) -> None:
    with psycopg.connect(hosted.up.home.dsn) as connection:
        tables = [str(row[0]) for row in connection.execute(_TABLES)]
        assert {*_HAVE_PLACEHOLDERS, "public.vault"} <= set(tables)
        for table in tables:
            content = b"\n".join(_cells(connection, table))
            assert found_in(content) == [], table
            if table in _HAVE_PLACEHOLDERS:  # else having looked there would prove nothing
                assert b"[EMAIL" in content


def _cells(connection: psycopg.Connection, table: str) -> Iterator[bytes]:
    """Every value of a table: bytes as they are, anything else as text."""
    name = sql.SQL(".").join(map(sql.Identifier, table.replace('"', "").split(".")))
    for row in connection.execute(sql.SQL("select * from {}").format(name)):
        for cell in row:
            yield cell if isinstance(cell, bytes) else json.dumps(cell, ensure_ascii=False, default=str).encode()


def test_no_file_of_the_home_holds_a_value(hosted: Hosted, asked: object, answered: object) -> None:
    """Logs, vaults, and the database's own files, its write-ahead log too."""
    with psycopg.connect(hosted.up.home.dsn, autocommit=True) as connection:
        connection.execute("checkpoint")
    files = [path for path in hosted.up.home.path.rglob("*") if path.is_file()]
    assert {"vault.db", "api.log", "worker.log"} <= {path.name for path in files}
    assert {path: values for path in files if (values := found_in(_content(path)))} == {}


def _content(path: Path) -> bytes:
    """Of a running database's files some are gone by the time they are read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_no_trace_holds_a_value(hosted: Hosted, asked: object, answered: object) -> None:
    assert wait_until(lambda: len(hosted.traces.bodies) >= 4)
    sent = b"\n".join(hosted.traces.bodies)
    assert b"[EMAIL_" in sent
    assert found_in(sent) == []


def test_a_refused_goal_leaves_nothing_behind_either(hosted: Hosted) -> None:
    with httpx.Client(base_url=hosted.up.url) as client:
        for body in (
            {"goal": IN_GOAL[0], "unknown": IN_GOAL[1]},
            {"goal": 5, "thread_id": IN_GOAL[2]},
            {"goal": NAMES[0] * 3_000},
        ):
            answer = client.post("/runs", json=body)
            assert answer.status_code >= 400
            assert found_in(answer.content) == []
    logs = b"".join(path.read_bytes() for path in (hosted.up.home.path / "logs").iterdir())
    assert found_in(logs) == []
