"""The registry composes what it is given; policy is ordered data that denies what no rule names."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from graph.ports import Artifacts, ToolSchema
from graph.tools.builtin.artifacts import write_artifact
from graph.tools.builtin.calculate import CALCULATE
from graph.tools.builtin.emails import draft_email, send_email
from graph.tools.content import canonical
from graph.tools.policy import DEFAULT_POLICY, Policy, Rule
from graph.tools.registry import REPORT, Arguments, Output, Problem, Registry, Tool, ToolContext
from serving.mail import OutboxMailer, SmtpMailer
from serving.runs.artifacts import MemoryArtifacts

ROOT = Path(__file__).parents[2]
FILES: Artifacts = MemoryArtifacts()
SEND = send_email(OutboxMailer(Path("unused")))


class Nothing(Arguments):
    pass


async def _nothing(arguments: Nothing, context: ToolContext) -> Output | Problem:
    return Output(data={})


def test_schemas_are_sorted_and_hold_the_control_tool_that_ends_a_step() -> None:
    schemas = Registry([write_artifact(FILES), CALCULATE]).schemas
    assert [schema.name for schema in schemas] == ["calculate", REPORT, "write_artifact"]
    assert Registry([CALCULATE]).find(REPORT) is None


def test_a_schema_names_the_arguments_without_pydantics_titles() -> None:
    assert CALCULATE.schema().parameters == {
        "additionalProperties": False,
        "properties": {
            "expression": {
                "description": "such as 15% of 2340 or (1200 + 340) / 7",
                "maxLength": 1000,
                "minLength": 1,
                "type": "string",
            }
        },
        "required": ["expression"],
        "type": "object",
    }


def test_a_property_that_is_called_title_keeps_its_place() -> None:
    class Titled(Arguments):
        title: str

    tool = Tool(name="titled", description="", parameters=Titled, call=_nothing)
    assert tool.schema().parameters["properties"] == {"title": {"type": "string"}}


def test_schemas_are_the_same_bytes_in_every_process() -> None:
    def text(schemas: tuple[ToolSchema, ...]) -> str:
        return canonical([schema.model_dump() for schema in schemas])

    program = (
        "from tests.unit.test_tools_policy import *\n"
        "print(canonical([s.model_dump() for s in Registry([SEND, CALCULATE, write_artifact(FILES)]).schemas]))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == text(Registry([write_artifact(FILES), CALCULATE, SEND]).schemas)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="unique"):
        Registry([CALCULATE, CALCULATE])


@pytest.mark.parametrize("risk", [1, 2, 3, 4])
def test_a_tool_that_has_effects_must_say_how_it_reconciles(risk: int) -> None:
    silent = Tool(name="silent", description="", parameters=Nothing, call=_nothing, risk=risk)
    with pytest.raises(ValueError, match="must say how they `reconcile`: silent"):
        Registry([CALCULATE, silent])
    assert Registry([replace(silent, reconcile="ask_a_person")]).find("silent")


def test_every_tool_that_ships_says_how_it_reconciles() -> None:
    reconciled = {tool.name: tool.reconcile for tool in (write_artifact(FILES), draft_email(FILES), SEND)}
    assert reconciled == dict.fromkeys(("write_artifact", "draft_email", "send_email"), "honours_key")
    assert send_email(SmtpMailer("smtp://127.0.0.1", "a@example.com")).reconcile == "ask_a_person"


def test_the_default_policy_allows_reading_and_drafts_asks_before_effects_and_denies_the_rest() -> None:
    def at(risk: int) -> str:
        return DEFAULT_POLICY.action(Tool(name="t", description="", parameters=Nothing, call=_nothing, risk=risk))

    assert [at(risk) for risk in (0, 1, 2, 3, 4, 5)] == ["allow", "allow", "allow", "ask", "deny", "deny"]
    assert DEFAULT_POLICY.action(draft_email(FILES)) == "allow"
    assert DEFAULT_POLICY.action(SEND) == "ask"


def test_the_first_rule_that_matches_wins() -> None:
    policy = Policy(rules=(Rule(action="deny", tool="send_*"), Rule(action="allow", max_risk=3)))
    assert policy.action(SEND) == "deny"
    assert policy.action(CALCULATE) == "allow"


def test_a_policy_without_rules_denies() -> None:
    assert Policy().action(CALCULATE) == "deny"


def test_a_rule_with_a_typing_error_is_refused() -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"action": "alow"})
    with pytest.raises(ValidationError):
        Rule.model_validate({"action": "allow", "max_risk": 9})
