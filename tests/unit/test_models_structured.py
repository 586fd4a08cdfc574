"""A JSON object is found in whatever a model writes around it, and nothing of what it wrote reaches an error."""

import pytest
from pydantic import BaseModel

from graph.state import Plan, Verdict
from serving.models.structured import Unparsable, parse, repair_request

VERDICT = '{"decision": "revise", "reasons": ["thin"], "revise": {"s1": "no source"}}'


@pytest.mark.parametrize(
    "text",
    [
        VERDICT,
        f"```json\n{VERDICT}\n```",
        f"Sure. {{not json}} Here it is:\n{VERDICT}\nHope this helps {{ }}",
        f'<think>{{"decision": "maybe"}}</think>{VERDICT}',
        "{" * 150 + VERDICT,
    ],
)
def test_the_object_is_found_whatever_stands_around_it(text: str) -> None:
    assert parse(text, Verdict) == Verdict(decision="revise", reasons=("thin",), revise={"s1": "no source"})


@pytest.mark.parametrize(
    "text", ["", "no json", "[1, 2]", "{" * 100_000, '{"a": ' * 50_000, '{"n": ' + "9" * 9000 + "}"]
)
def test_text_without_an_object_is_unparsable_and_quick_to_say_so(text: str) -> None:
    with pytest.raises(Unparsable):
        parse(text, Verdict)


def test_the_message_names_our_field_and_never_what_the_model_wrote() -> None:
    with pytest.raises(Unparsable) as caught:
        parse('{"decision": "a secret decision", "a secret field": 1}', Verdict)
    assert "Verdict" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "a secret field" in caught.value.for_model


def test_the_repair_request_says_what_was_wrong_and_shows_the_schema() -> None:
    with pytest.raises(Unparsable) as caught:
        parse('{"steps": []}', Plan)
    asked = repair_request(caught.value, Plan)
    assert "steps" in asked
    assert '"done_when"' in asked


def test_nul_and_lone_surrogates_do_not_survive() -> None:
    class Note(BaseModel):
        text: str

    assert parse('{"text": "a\\u0000b\\ud800c"}', Note) == Note(text="ab?c")
