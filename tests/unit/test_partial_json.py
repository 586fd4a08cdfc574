"""JSON that grows: in whatever pieces it comes, what is told is JSON at every moment, and all of it in the end."""

import json
import random
from typing import Any

import orjson
import pytest

from graph.partial_json import PartialJson
from privacy.placeholder import find

TEXTS = [
    '{"query": "overdue invoices", "limit": 6}',
    '{ "a" : [ 1 , -2.5e3, true,null, [], {} ] , "b":{"c":"d\\"e\\\\","f":""} }',
    '{"to": ["[EMAIL_1]", "[PERSON_S12]"], "body": "Dear [PERSON_S12],\\n[see 1] [A] it is [OPEN", "n": 0}',
    '{"emoji": "\\ud83d\\ude00 \\u00e9 caf\\u00e9 ☕", "deep": [[[["x"]]]]}',
    "{}",
]
# What a model may write instead.
BROKEN = ['{"a": tru, "b": 1}', '{"a" 1}', "[1, 2]", '"text"', '{"a": "\\x not an escape"}', '{"a": 1}}', '{"a": 01, ']
# JSON, but beyond what a reader's float can hold.
ENDLESS = ['{"a": 1, "b": 1e999, "c": 2}', '{"a": [-1e999], "b": 1}', '{"a": ' + "9" * 400 + ', "b": 1}']


def told(text: str, pieces: int, seed: int) -> list[tuple[str, str]]:
    """(what has been told so far, what closes it), after each of some pieces."""
    chance, partial = random.Random(seed), PartialJson()
    cuts = sorted(chance.sample(range(len(text) + 1), min(pieces, len(text))))
    so_far, held, found = "", "", []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        held += text[begin:end]
        cut = partial.cut(held)
        so_far, held = so_far + held[:cut], held[cut:]
        found.append((so_far, partial.closes))
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_told_is_json_at_every_moment_and_all_of_it_in_the_end(text: str) -> None:
    whole = json.loads(text)
    for pieces in (1, 3, len(text)):
        for seed in range(30):
            moments = [(so_far, closes) for so_far, closes in told(text, pieces, seed) if so_far]
            for so_far, closes in moments:
                assert text.startswith(so_far)
                assert within(orjson.loads(so_far + closes), whole)
            assert moments[-1] == (text, "")


def within(part: Any, whole: Any) -> bool:
    """Whether one is the other as far as it has come: its last text is cut, and what comes behind isn't there."""
    if isinstance(part, dict):
        return list(part) == list(whole)[: len(part)] and all(within(part[key], whole[key]) for key in part)
    if isinstance(part, list):
        return len(part) <= len(whole) and all(within(*pair) for pair in zip(part, whole, strict=False))
    return bool(whole.startswith(part) if isinstance(part, str) else part == whole)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_comes_one_character_at_a_time_is_held_back_only_where_it_must_be(text: str) -> None:
    partial, held, longest = PartialJson(), "", 0
    for char in text:
        held += char
        held = held[partial.cut(held) :]
        longest = max(longest, len(held))
    assert longest < 20


def test_no_placeholder_is_cut_in_two() -> None:
    text = TEXTS[2]
    for seed in range(100):
        moments = told(text, 12, seed)
        places = [(one.start, one.end) for one in find(text)]
        assert not [at for at, _ in moments if any(start < len(at) < end for start, end in places)]


@pytest.mark.parametrize("text", [*BROKEN, *ENDLESS])
def test_what_cannot_be_read_is_told_no_further_than_it_can(text: str) -> None:
    for seed in range(20):
        for so_far, closes in told(text, len(text) // 2, seed):
            assert so_far == "" or isinstance(orjson.loads(so_far + closes), dict)


def test_nesting_without_an_end_is_told_as_deep_as_can_be_read() -> None:
    partial, text = PartialJson(), '{"a":' + "[" * 100_000
    cut = partial.cut(text)
    assert cut + len(partial.closes) < 200
    assert json.loads(text[:cut] + partial.closes)
