"""The prompt prefix is an asset: its bytes are the same for all roles, in every process, and move only on purpose."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from pydantic import BaseModel

from graph.events import (
    ConversationRecalled,
    DocumentsListed,
    EventBody,
    MemoryRecalled,
    ModelCalled,
    PlanProposed,
    RunClaimed,
    RunEvent,
    StepFinished,
    ToolFinished,
)
from graph.form import Form
from graph.ports import (
    AnswerTask,
    DocumentInfo,
    Message,
    Overview,
    PlanTask,
    ReviewTask,
    StepTask,
    TableInfo,
    Task,
)
from graph.prefix import assemble
from graph.prompt import present_prompts
from graph.state import Plan, Source, Step, StepOutcome
from graph.tools.registry import Output, Problem, Registry, Tool, ToolContext
from graph.transcript import StepTranscript
from privacy.redact import Redacted

ROOT = Path(__file__).parents[2]
ROLES = ("planner", "worker", "critic", "writer")

RECORDED = {
    "system": "7d256dadfd64",
    "planner": "9998047b3348",
    "worker": "812a23bdacef",
    "critic": "35c55ed3aa20",
    "writer": "de5f954dcac6",
}
"""sha256, twelve digits, of each prompt file. Moving one voids every provider's cache and changes what models do."""


def step(id_: str, *needs: str) -> Step:
    return Step(id=id_, goal=f"find {id_}", depends_on=needs, done_when="found")


def outcome(id_: str, attempt: int = 1) -> StepOutcome:
    source = Source(ref=f"{id_}.md#0", path=f"{id_}.md")
    return StepOutcome(step_id=id_, status="done", finding=f"{id_} is 42", sources=(source,), attempt=attempt)


PLAN = Plan(steps=(step("s1"), step("s2"), step("s3", "s1", "s2")))
OVERVIEW = Overview(
    documents=(DocumentInfo(path="a.md", media_type="text/markdown", characters=12),),
    tables=(
        TableInfo(
            name="orders",
            path="orders.csv",
            columns=(("id", "BIGINT"), ("city", "VARCHAR")),
            rows=3,
            samples={"city": ("Ulm", "Bern"), "id": ("1", "2")},
        ),
    ),
)
START: tuple[EventBody, ...] = (
    RunClaimed(worker="host-1", fence=1, attempt=1),
    MemoryRecalled(items=("Amounts in EUR",)),
    ConversationRecalled(turns=(("Who?", "Anna."),)),
    DocumentsListed(overview=OVERVIEW),
)


def log(*bodies: EventBody) -> list[RunEvent]:
    return [RunEvent(seq=seq, at=datetime.now(UTC), body=body) for seq, body in enumerate(bodies, 1)]


def turn(step_id: str, number: int) -> tuple[EventBody, ...]:
    call = {"id": f"c{number}", "name": "lookup", "arguments": {"query": "x"}}
    return (
        ModelCalled(role="worker", step_id=step_id, model="m", text="", tool_calls=(call,)),
        ToolFinished(
            step_id=step_id, attempt=1, call_id=f"c{number}", tool="lookup", ok=True, content="{}", duration_ms=1
        ),
    )


def tasks() -> dict[str, Task]:
    goal = "Find it"
    found = (outcome("s1"), outcome("s2"))
    return {
        "planner": PlanTask(goal=goal, overview=OVERVIEW, memory=("Amounts in EUR",)),
        "worker": StepTask(goal=goal, step=PLAN.step("s3"), overview=OVERVIEW, known=found),
        "critic": ReviewTask(goal=goal, plan=PLAN, outcomes=found, round=0),
        "writer": AnswerTask(goal=goal, outcomes=found, sources=found[0].sources),
    }


def prompts(history: list[RunEvent], form: Form | None = None) -> dict[str, tuple[Message, ...]]:
    return {
        role: assemble(
            present_prompts(),
            task,
            history,
            StepTranscript(history, "s3", 1) if isinstance(task, StepTask) else None,
            form,
        )
        for role, task in tasks().items()
    }


def as_bytes(messages: tuple[Message, ...]) -> bytes:
    return orjson.dumps([[m.role, str(m.content), m.tool_call_id] for m in messages])


def test_all_four_roles_share_system_goal_and_documents_byte_by_byte() -> None:
    made = prompts(log(*START, PlanProposed(plan=PLAN, round=0), StepFinished(outcome=outcome("s1"))))
    heads = {as_bytes(messages[:2]) for messages in made.values()}
    assert len(heads) == 1
    head = heads.pop().decode()
    for part in ("You are Trireme", "Amounts in EUR", "# Goal\\nFind it", "a.md", "orders.csv", "Bern", "Who?"):
        assert part in head


def test_the_form_of_an_answer_stands_in_what_all_roles_share_and_changes_nothing_before_it() -> None:
    history = log(*START, PlanProposed(plan=PLAN, round=0), StepFinished(outcome=outcome("s1")))
    form = Form(name="limit", json_schema='{"type": "object", "properties": {"knots": {}}}', about="For the pilot.")
    made = prompts(history, form)
    heads = {as_bytes(messages[:2]) for messages in made.values()}
    assert len(heads) == 1
    plain = prompts(history)["writer"]
    for before, after in zip(plain[:-1], made["writer"][:-1], strict=True):
        assert after.content.startswith(before.content)
    assert made["writer"][1].content.endswith(f"{form.json_schema}\nFor the pilot.")
    assert "the one JSON object" in made["writer"][-1].content
    assert made["planner"][-1] == prompts(history)["planner"][-1]


def test_the_roles_instruction_comes_last_and_nowhere_else() -> None:
    made = prompts(log(*START, PlanProposed(plan=PLAN, round=0), *turn("s3", 1)))
    for role, messages in made.items():
        texts = present_prompts().texts
        assert texts[role] in messages[-1].content
        assert not any(texts[other] in m.content for other in ROLES for m in messages[:-1])


def test_every_content_is_redacted_text() -> None:
    made = prompts(log(*START, PlanProposed(plan=PLAN, round=0), *turn("s3", 1), StepFinished(outcome=outcome("s1"))))
    assert all(type(m.content) is Redacted for messages in made.values() for m in messages)


def test_worker_critic_and_writer_share_the_plan_as_well() -> None:
    made = prompts(log(*START, PlanProposed(plan=PLAN, round=0)))
    assert len({as_bytes(made[role][:3]) for role in ("worker", "critic", "writer")}) == 1


def test_a_steps_later_turns_only_add_behind_the_earlier_ones() -> None:
    so_far: list[EventBody] = [*START, PlanProposed(plan=PLAN, round=0)]
    earlier: tuple[Message, ...] = ()
    for number in range(4):
        messages = prompts(log(*so_far))["worker"]
        assert messages[: max(len(earlier) - 1, 0)] == earlier[:-1]
        assert not earlier or messages[-1] == earlier[-1], "the instruction is the same, behind more"
        earlier = messages
        so_far += turn("s3", number)


@pytest.mark.parametrize("role", ROLES)
def test_a_new_round_only_adds_behind_the_earlier_one(role: str) -> None:
    """A second plan and its findings stand behind the first plan's, for every role."""
    first = [*START, PlanProposed(plan=PLAN, round=0), StepFinished(outcome=outcome("s1"))]
    second = [*first, PlanProposed(plan=PLAN, round=1), StepFinished(outcome=outcome("s1", 2))]
    before, after = prompts(log(*first))[role], prompts(log(*second))[role]
    assert after[: len(before) - 1] == before[:-1]
    assert len(after) > len(before)


def test_a_worker_sees_the_findings_its_step_builds_on_and_no_others() -> None:
    done = [StepFinished(outcome=outcome(id_)) for id_ in ("s2", "s1", "s9")]
    messages = prompts(log(*START, PlanProposed(plan=PLAN, round=0), *done))["worker"]
    said = " ".join(str(m.content) for m in messages[3:-1])
    assert "step s1" in said
    assert "step s2" in said
    assert "step s9" not in said


def test_ids_workers_and_times_are_in_no_prompt() -> None:
    one = log(*START, PlanProposed(plan=PLAN, round=0))
    other = log(RunClaimed(worker="host-2", fence=7, attempt=3), *START[1:], PlanProposed(plan=PLAN, round=0))
    assert {r: as_bytes(m) for r, m in prompts(one).items()} == {r: as_bytes(m) for r, m in prompts(other).items()}


class Anything(BaseModel):
    query: str


async def nothing(arguments: Anything, context: ToolContext) -> Output | Problem:
    return Output(data={})


def test_the_order_in_which_tools_are_registered_does_not_matter() -> None:
    tools = [Tool(name=name, description=name, parameters=Anything, call=nothing) for name in ("b", "a", "z")]
    assert Registry(tools).schemas == Registry(tools[::-1]).schemas
    assert [schema.name for schema in Registry(tools).schemas] == ["a", "b", "report", "z"]


PRINT = """
import hashlib, sys
from tests.unit.test_graph_prefix import *
from graph.tools.builtin import builtin_tools
from serving.mail import OutboxMailer
made = prompts(log(*START, PlanProposed(plan=PLAN, round=0), *turn("s3", 1), StepFinished(outcome=outcome("s1"))))
registry = Registry(builtin_tools(None, None, None, OutboxMailer(Path('unused'))))
schemas = orjson.dumps([schema.model_dump(mode="json") for schema in registry.schemas])
print(hashlib.sha256(b"".join(as_bytes(made[role]) for role in ROLES) + schemas).hexdigest())
"""


def test_the_bytes_are_the_same_in_every_process() -> None:
    """Two interpreters with other hash seeds, time zones and locales: set order and clocks would show."""
    seen = set()
    for seed, zone in (("1", "UTC"), ("4242", "Asia/Tokyo")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        made = subprocess.run(
            [sys.executable, "-c", PRINT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        seen.add(made.stdout.strip())
    assert len(seen) == 1


@pytest.mark.parametrize("name", RECORDED)
def test_the_prompts_bytes_move_only_on_purpose(name: str) -> None:
    now = hashlib.sha256(present_prompts().texts[name].encode()).hexdigest()[:12]
    assert now == RECORDED[name], (
        f"graph/prompts/{name}.md has other bytes than the recorded ones: every cached prefix is void and every model "
        f"reads something new. If that is meant, run the goals of tests/evals, then set RECORDED[{name!r}] in "
        f"{Path(__file__).name} to {now!r} and say why in CHANGELOG.md"
    )


def test_a_prompts_version_moves_with_the_shared_part_and_with_its_own() -> None:
    present = present_prompts()
    assert len({present.version(role) for role in ROLES}) == len(ROLES)
    whole = hashlib.sha256(f"{present.texts['system']}\0{present.texts['critic']}".encode()).hexdigest()[:12]
    assert present.version("critic") == whole
