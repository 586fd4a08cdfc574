"""An effect's key comes from its action alone: whatever spells the same arguments is the same action, nothing else."""

import random
from typing import Any, TypeAlias

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from graph.tools.action import Action
from graph.tools.content import clean, digest
from graph.tools.registry import Arguments, Output, Tool, ToolContext

Json: TypeAlias = Any

_NUMBERS = st.integers(-(2**70), 2**70) | st.floats(width=64)
_TEXTS = st.text(st.characters(codec=None), max_size=8)  # NUL and lone surrogates among them
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Json, chance: random.Random) -> Json:
    if isinstance(value, dict):
        pairs = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(pairs)
        return dict(pairs)
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


def as_models_write(value: Json) -> Json:
    """Whole numbers as floats, where a float holds them exactly."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53:
        return float(value)
    if isinstance(value, dict):
        return {key: as_models_write(item) for key, item in value.items()}
    return [as_models_write(item) for item in value] if isinstance(value, list) else value


def meaning(value: Json) -> Json:
    """What JSON says, in a form that Python compares rightly: True is not 1, and 1.0 is."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: meaning(item) for key, item in value.items()}
    return [meaning(item) for item in value] if isinstance(value, list) else value


@given(_VALUES, st.randoms(use_true_random=False))
@example({"b": 1, "a": {"d": 2, "c": 3}}, random.Random(1))
def test_the_order_of_keys_does_not_count(value: Json, chance: random.Random) -> None:
    plain = clean(value)
    assert digest(shuffled(plain, chance)) == digest(plain)


@given(_VALUES)
@example({"amount": 1, "share": 0.5, "most": 2**53})
def test_a_whole_number_is_the_same_with_and_without_its_point(value: Json) -> None:
    plain = clean(value)
    assert digest(as_models_write(plain)) == digest(plain)


@given(_VALUES)
@example({"text": "a\x00b\ud83d", "size": 10**30, "ratio": float("nan")})
def test_arguments_keep_their_digest_on_their_way_through_the_log(value: Json) -> None:
    """A live attempt and one that reads the log must come to the same key."""
    plain = clean(value)
    assert digest(orjson.loads(orjson.dumps(plain))) == digest(plain) == digest(value)


@given(_VALUES, _VALUES)
@example(True, 1)
@example("1", 1)
@example(None, [])
@example(0.1, 0.1 + 2**-56)
@example("\u00e9", "e\u0301")  # composed or not: two texts, which may be two files
@example({"a": [1, [2]]}, {"a": [[1], 2]})
def test_what_means_something_else_has_another_digest(one: Json, other: Json) -> None:
    same = meaning(clean(one)) == meaning(clean(other))
    assert (digest(one) == digest(other)) == same


class Anything(Arguments):
    value: Any = None


async def _nothing(arguments: Anything, context: ToolContext) -> Output:
    return Output(data={})


async def test_a_key_holds_run_step_tool_version_and_arguments_and_nothing_of_its_place() -> None:
    def key(run: str = "r", step: str = "s1", name: str = "t", version: str = "1", value: Any = 1) -> str:
        tool = Tool(name=name, description="", parameters=Anything, call=_nothing, version=version)
        return Action(run, step, tool, Anything(value=value), 60).effect.key

    others = [key(run="x"), key(step="s2"), key(name="u"), key(version="2"), key(value=2), key(value="1")]
    # Where one part ends and the next begins counts too.
    others += [key(run="rs", step="1"), key(name="t1", version="")]
    assert len({key(), *others}) == 9
    assert key() == key() == key(value=1.0)
