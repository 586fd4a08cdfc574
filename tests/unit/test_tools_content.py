"""Tool content is JSON that Postgres and a checkpoint can hold, of a stated size, with no path of the machine in it."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.tools.content import LIMIT_BYTES, bounded, canonical, clean, digest, without_paths


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\x00b\ud800c", "abc"),
        (float("nan"), None),
        (float("inf"), None),
        (2**60, str(2**60)),
        (True, True),
        (Decimal("12.50"), 12.5),
        (Decimal("3.00"), 3),
        (Decimal("0.1000000000000000000001"), "0.1000000000000000000001"),
        (Decimal("NaN"), None),
        (date(2026, 11, 21), "2026-11-21"),
        ({1: (1, 2)}, {"1": [1, 2]}),
    ],
)
def test_values_become_json_that_can_be_stored(value: Any, expected: Any) -> None:
    assert clean(value) == expected
    assert type(clean(value)) is type(expected)


def test_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}' == canonical({"a": "ü", "b": 1})
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1}) != digest({"a": 2, "b": 3})


def test_a_small_result_is_whole() -> None:
    assert json.loads(bounded({"rows": [[1], [2]]})) == {"rows": [[1], [2]]}


@pytest.mark.parametrize(
    "data",
    [
        {"text": "ä" * 100_000},
        {"rows": [[i, "x" * 20] for i in range(10_000)]},
        {"hits": [{"text": "y" * 4_000, "ref": f"a.md#{i}"} for i in range(20)]},
        {f"key{i}": "z" * 50 for i in range(5_000)},
    ],
)
def test_a_large_result_is_cut_and_says_so(data: dict[str, Any]) -> None:
    text = bounded(data)
    assert len(text.encode()) <= LIMIT_BYTES
    assert "over the limit of 16000" in json.loads(text)["cut"]
    assert len(text) > 2_000


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=8), st.recursive(st.text(), lambda x: st.lists(x, max_size=30)), max_size=20))
def test_no_result_is_over_the_limit(data: dict[str, Any]) -> None:
    text = bounded(data, 400)
    assert len(text.encode()) <= 400
    json.loads(text)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("can't open /home/anna/secret/data.csv", "can't open data.csv"),
        ("in /srv/app/", "in a folder"),
        ("reports/2026/q3.csv has no column x", "reports/2026/q3.csv has no column x"),
        ("see http://example.com/a/b", "see http://example.com/a/b"),
        ("3/4 of 1/2", "3/4 of 1/2"),
    ],
)
def test_messages_keep_no_path_of_the_machine(said: str, shown: str) -> None:
    assert without_paths(said) == shown
