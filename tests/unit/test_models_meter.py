"""The computed prefix cache: what is counted, what counts as cached."""

from graph.ports import Message, ToolCall, ToolSchema
from privacy.redact import from_record
from serving.models.meter import BLOCK_TOKENS, PrefixMeter, render

TOOLS = (
    ToolSchema(name="search", description="finds", parameters={"type": "object"}),
    ToolSchema(name="add", description="sums", parameters={"b": 1, "a": 2}),
)


def say(text: str, role: str = "user") -> Message:
    return Message(role, from_record(text))  # type: ignore[arg-type]


def test_four_bytes_of_the_rendered_prompt_are_a_token() -> None:
    messages = (say("x" * 999),)
    assert PrefixMeter().measure(messages, TOOLS)[0] == -(-len(render(messages, TOOLS)) // 4)


def test_the_first_prompt_has_nothing_cached() -> None:
    assert PrefixMeter().measure((say("x" * 5000),), TOOLS)[1] == 0


def test_an_appended_message_leaves_the_whole_earlier_prompt_cached() -> None:
    meter = PrefixMeter()
    first = (say("s" * 3000, "system"), say("goal"))
    before, _ = meter.measure(first, TOOLS)
    after, cached = meter.measure((*first, say("more " * 100)), TOOLS)
    assert before - BLOCK_TOKENS <= cached <= before
    assert after > before


def test_the_first_byte_that_differs_ends_the_shared_prefix() -> None:
    meter = PrefixMeter()
    meter.measure((say("a" * 4000), say("b" * 4000)), ())
    _, cached = meter.measure((say("a" * 2000 + "!" + "a" * 1999), say("b" * 4000)), ())
    assert 480 <= cached <= 512


def test_the_same_prompt_again_still_leaves_its_last_token_to_compute() -> None:
    meter = PrefixMeter()
    tokens, _ = meter.measure((say("y" * 2000),), TOOLS)
    again, cached = meter.measure((say("y" * 2000),), TOOLS)
    assert again == tokens
    assert 0 <= tokens - cached <= BLOCK_TOKENS
    assert cached < tokens


def test_tools_count_by_name_whatever_their_order() -> None:
    assert render((), TOOLS) == render((), TOOLS[::-1])
    assert render((), TOOLS).index(b'"add"') < render((), TOOLS).index(b'"search"')


def test_tool_calls_and_their_ids_are_part_of_the_prompt() -> None:
    calls = (ToolCall(id="c1", name="add", arguments={"z": 1, "a": [2]}),)
    plain, called = say("", "assistant"), Message("assistant", from_record(""), calls)
    assert render((plain,), ()) != render((called,), ())
    assert b'"arguments":{"a":[2],"z":1}' in render((called,), ())


def test_another_run_has_a_cache_of_its_own() -> None:
    PrefixMeter().measure((say("q" * 4000),), TOOLS)
    assert PrefixMeter().measure((say("q" * 4000),), TOOLS)[1] == 0


def test_the_memory_is_bounded_and_keeps_the_head_of_the_prompt() -> None:
    meter = PrefixMeter(max_blocks=10)
    long = (say("h" * 6400),)
    meter.measure(long, ())
    assert len(meter._blocks) == 10
    assert meter.measure(long, ())[1] == 10 * BLOCK_TOKENS


def test_text_that_is_no_utf8_is_counted_too() -> None:
    assert PrefixMeter().measure((say("\ud800 lone"),), ())[0] > 0
