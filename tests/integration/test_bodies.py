"""JSON bodies that can't be read, or can't be kept as they came: refused by place or field, and nothing is stored."""

import gzip

import httpx
import orjson
import pytest

from tests.integration.run_house import House

DEEP = b'{"goal": ' + b"[" * 101 + b"]" * 101 + b"}"
SECTION = {"path": "a.md", "digest": "1", "sections": [{"text": "fine"}, {"text": "a\0"}]}


async def said(api: httpx.AsyncClient, body: bytes, path: str = "/runs", method: str = "POST") -> tuple[int, str, str]:
    answer = await api.request(method, path, content=body, headers={"Content-Type": "application/json"})
    return answer.status_code, answer.json()["code"], answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (rb'{"goal": "a\u0000b"}', "goal holds a NUL (U+0000) at character 2"),
        (rb'{"goal": "a\ud83d b"}', "goal holds half a surrogate pair (U+D83D) at character 2"),
        (b'{"goal": "\xed\xa0\x80"}', "goal holds half a surrogate pair (U+D800) at character 1"),
        (rb'{"goal": "a", "bounds": {"x\u0000": 1}}', "a name in bounds holds a NUL (U+0000) at character 2"),
        (
            rb'{"goal": "LONG", "turns": ["", "\u0000"]}'.replace(b"LONG", b"a" * 2**18),
            "turns.1 holds a NUL (U+0000) at character 1",
        ),
        (b'{"goal": "caf\xe9"}', "the body is not UTF-8 at byte 13"),
        (b'{"goal": "a", "priority": ' + b"1" * 5_000 + b"}", "the body holds a number with thousands of digits"),
        (b'{"goal": "a", "bounds": {"cost_usd": NaN}}', "bounds.cost_usd: Input should be a finite number"),
        (DEEP, "the body is nested deeper than 100 levels"),
        (DEEP.replace(b"[", b"[" * 1_000).replace(b"]", b"]" * 1_000), "the body is nested deeper than 100 levels"),
    ],
)
async def test_what_cannot_be_kept_as_it_came_is_refused_by_its_place(
    house: House, api: httpx.AsyncClient, body: bytes, message: str
) -> None:
    assert await said(api, body) == (400, "invalid_request", message)
    assert house.execute("select count(*) from runs") == [(0,)]


async def test_a_body_that_is_packed_is_refused_as_that(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await api.post("/runs", content=gzip.compress(b'{"goal": "a"}'), headers=headers)
    assert (answer.status_code, answer.json()["hint"]) == (400, "send it as it is, without Content-Encoding")


async def test_pairs_of_surrogates_are_characters(house: House, api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/runs", content=rb'{"goal": "a \ud83d\ude80"}', headers={"Content-Type": "application/json"}
    )
    assert answer.json()["goal"] == "a \N{ROCKET}"


async def test_a_document_and_an_edit_name_the_field_too(api: httpx.AsyncClient) -> None:
    documents = orjson.dumps({"documents": [SECTION]})
    refused = await said(api, documents, "/collections/notes/documents", "PUT")
    assert refused[2] == "documents.0.sections.1.text holds a NUL (U+0000) at character 2"
    edit = rb'{"decision": "edit", "arguments": {"to": ["bo\u0000@example.com"]}}'
    refused = await said(api, edit, "/runs/00000000-0000-7000-8000-000000000000/approve")
    assert refused[2] == "arguments.to.0 holds a NUL (U+0000) at character 3"
