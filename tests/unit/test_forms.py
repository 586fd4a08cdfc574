"""The form of an answer: which schemas can be kept to, and what of a document breaks one."""

import json
import time
from typing import Any

import pytest
from pydantic import BaseModel, Field

from graph.form import Form, document_in
from privacy.detect import Detector
from privacy.redact import Redactor
from privacy.vault import MemoryVault
from serving.api.openai.form import form_of
from serving.errors import BadRequest
from serving.models.structured import Unparsable, parse
from serving.runs.requests.forms import check_form, redacted


def form(schema: Any) -> Form:
    return Form(name="answer", json_schema=json.dumps(schema))


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


class Tree(BaseModel):
    """Refers to itself, as pydantic writes it."""

    label: str
    branches: "list[Tree]" = Field(default=[])


@pytest.mark.parametrize(
    "schema",
    [
        {},
        of(a={"type": "string"}),
        Tree.model_json_schema(),
        {"$schema": "http://json-schema.org/draft-07/schema#", **of(a={"$ref": "#"})},
        {
            "type": ["object", "null"],
            "$defs": {"a/b": {"type": "string"}},
            "properties": {"a": {"$ref": "#/$defs/a~1b"}},
        },
        of(price={"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}),
        of(patternProperties={"type": "string"}, **{"$ref": {"type": "string"}}),
    ],
)
def test_a_schema_of_an_object_can_be_kept_to(schema: Any) -> None:
    check_form(form(schema))


LOOP = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, **of(x={"$ref": "#/$defs/a"})}


def deep(levels: int) -> Any:
    return {"type": "object"} if levels == 0 else of(a=deep(levels - 1))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ([], "no JSON object"),
        ({"type": "array", "items": {}}, "not `object`"),
        ({"type": "objekt"}, "# is no JSON Schema|#/type is no JSON Schema"),
        (of(a={"type": "string", "minLength": "two"}), "#/properties/a/minLength is no JSON Schema"),
        ({"$schema": 7}, "`\\$schema` is no text"),
        ({"$ref": "#"}, "leads back to itself"),
        (LOOP, "leads back to itself"),
        (of(a={"$ref": "#/$defs/nowhere"}), "names nothing"),
        (of(a={"$ref": "https://example.com/schema.json"}), "names nothing"),
        (of(a={"patternProperties": {"^a": {}}}), "`patternProperties` can't be used"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "$ref": 5}, "of a draft before 6"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": {}}}, "`dependencies` can't"),
        ({"allOf": [{}] * 3_000}, "more than 2000 objects"),
        (of(a={"$id": "https://example.com/a"}), "`\\$id` can't be used"),
        (of(a={"description": "x" * 1_000_000}), "at most 64000"),
        (deep(80), "nested deeper than 100 levels"),
    ],
)
def test_a_schema_that_no_answer_could_be_kept_to_is_refused(schema: Any, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        check_form(form(schema))


@pytest.mark.parametrize(
    ("schema", "document", "faults"),
    [
        ({**of(a={"type": "integer"}), "required": ["a", "b"]}, {"a": "1"}, ("#/properties/a/type", "#/required: b")),
        ({**of(), "additionalProperties": False}, {"secret": 1}, ("#/additionalProperties",)),
        (Tree.model_json_schema(), {"label": "a", "branches": [{"label": 1}]}, None),
        (of(a={"pattern": "^b+$", "maxLength": 3}), {"a": "bbb"}, ()),
        (of(a={"pattern": "^b+$"}), {"a": "bab"}, ("#/properties/a/pattern",)),
        (of(a={"pattern": "^b+$", "maxLength": 3}), {"a": "[EMAIL_S1]"}, ()),
        (of(a={"uniqueItems": True}), {"a": [1, True, {"b": 1}, {"b": 1.0}]}, ("#/properties/a/uniqueItems",)),
        (of(a={"uniqueItems": True}), {"a": [1, True, 0, False, "1", [1], [True], {}, []]}, ()),
        (of(a={"uniqueItems": False}), {"a": [1, 1]}, ()),
        (of(a={"enum": ["[EMAIL_S1]"]}), {"a": "[EMAIL_S2]"}, ("#/properties/a/enum",)),
    ],
)
def test_a_document_that_does_not_fit_is_told_by_its_place_in_the_schema(
    schema: Any, document: Any, faults: tuple[str, ...] | None
) -> None:
    found = form(schema).faults(document)
    assert found == faults if faults is not None else found[0].endswith("/properties/label/type")


def test_no_schema_takes_long_over_a_document() -> None:
    power = of(a={"type": "string", "pattern": "^(a+)+$"})
    twice = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    bomb = {"$defs": {**twice, "d30": {}}, **of(a={"$ref": "#/$defs/d0"})}
    began = time.process_time()
    check_form(form(bomb))
    assert form(power).faults({"a": "a" * 10_000 + "!"}) == ("#/properties/a/pattern",)
    assert "too large to be checked" in form(bomb).faults({"a": 1})[0]
    assert form(of(a={"uniqueItems": True})).faults({"a": [{"n": n} for n in range(20_000)]}) == ()
    large = {f"p{n}": {"pattern": f"(\\w{{90}}){{4}}{n}"} for n in range(200)}
    assert "too large to be checked" in form(of(**large)).faults(dict.fromkeys(large, "a"))[0]
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        (of(a={"multipleOf": 0.1}), {"a": 10**400}),
        ({**of(a={"$ref": "#/enum/0"}), "enum": [{"type": "nonsense"}, {"a": 1}]}, {"a": 1}),
    ],
)
def test_what_jsonschema_itself_breaks_at_is_a_fault(schema: Any, document: Any) -> None:
    check_form(form(schema))
    assert "can't be checked by this schema" in form(schema).faults(document)[0]


@pytest.mark.parametrize("text", ['{"a": 1}', 'Here:\n```json\n{"a": 1}\n```\n', '\ufeff{"a": 1} '])
def test_what_stands_around_the_object_is_left_out(text: str) -> None:
    assert document_in(text) == {"a": 1}


@pytest.mark.parametrize("text", ["", "[1]", '{"a": NaN}', '{"a": 1e999}', '{"a": {"b": 1}, "c": "cut o', "{" * 9_000])
def test_a_part_of_an_object_is_no_object(text: str) -> None:
    with pytest.raises(Unparsable):
        parse(text, form({}))


@pytest.mark.parametrize(
    ("schema", "held"),
    [
        ({}, {"answer": "It is 42."}),
        ({**of(said={"type": "string"}), "required": ["said"], "additionalProperties": False}, {"said": "It is 42."}),
        ({**of(said={"type": "number"}), "required": ["said"]}, None),
        ({**of(), "required": ["a", "b"]}, None),
    ],
)
def test_a_form_of_one_text_holds_that(schema: Any, held: Any) -> None:
    assert form(schema).holding("It is 42.") == held


FUNCTION = {"name": "save", "description": "Keeps it", "parameters": of(b={}, a={}), "strict": True}


@pytest.mark.parametrize("tool", [{"type": "function", "function": FUNCTION}, {"type": "function", **FUNCTION}])
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "save"}}, {"type": "function", "name": "save"}]
)
def test_a_tool_that_must_be_called_is_the_form(tool: Any, choice: Any) -> None:
    found = form_of("response_format", None, [tool, {"type": "web_search"}], choice, "")
    assert found is not None
    assert (found.name, found.about, found.strict, found.called) == ("save", "Keeps it", True, True)
    assert list(found.schema_object["properties"]) == ["b", "a"], "the order is the caller's"


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_a_tool_that_may_be_called_is_none(choice: Any) -> None:
    assert (
        form_of("response_format", {"type": "text"}, [{"type": "function", "function": FUNCTION}], choice, "") is None
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("json", "of no type that is known"),
        ({"type": "json_schema"}, "`response_format.schema` is no JSON object"),
        (
            {"type": "json_schema", "json_schema": {"name": "a"}},
            "`response_format.json_schema.schema` is no JSON object",
        ),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name: .*valid string"),
        (
            {"type": "json_schema", "json_schema": {"schema": {}, "name": "a b"}},
            "json_schema.name: string should match",
        ),
        (
            {"type": "json_schema", "json_schema": {"schema": {}, "name": "a", "strict": 7}},
            "json_schema.strict: .*bool",
        ),
        ({"type": "json_object", "schema": 7}, "response_format.schema: .*valid string"),
    ],
)
def test_a_response_format_that_says_nothing_is_refused_by_its_field(given: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        form_of("response_format", given, None, None, "")


def test_a_schema_is_kept_without_what_is_personal_in_it_and_refused_where_it_rests_on_that() -> None:
    redactor = Redactor(Detector(), MemoryVault("S"))
    kept = redacted(redactor, form(of(to={"enum": ["ada@example.com"], "description": "or bo@example.com"})))
    assert "example.com" not in kept.json_schema
    assert kept.faults({"to": "[EMAIL_S1]"}) == ()
    number = 4111111111111111
    with pytest.raises(BadRequest, match="#/properties/a/maximum"):
        redacted(redactor, form(of(a={"maximum": number})))
