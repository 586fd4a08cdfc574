"""The offline model behind the port: replies, reviews, answers, and the same bytes every time."""

import json
from typing import Any

import pytest

from graph.ports import (
    AnswerTask,
    CallPiece,
    DocumentInfo,
    Message,
    ModelCall,
    ModelReply,
    Overview,
    PlanTask,
    ReviewTask,
    StepTask,
    TableInfo,
    Task,
    ToolCall,
    ToolSchema,
)
from graph.profile import Profile
from graph.state import Plan, Source, Step, StepOutcome, Verdict
from privacy.redact import Redacted, from_record
from serving.models.offline import OfflineModel

TEXT = "Goods can be returned within 30 days of delivery."
HIT = {"ref": "refunds.md#1", "path": "refunds.md", "heading": "Returns", "page": None, "text": TEXT, "score": 0.8}
OVERVIEW = Overview(documents=(DocumentInfo(path="refunds.md", media_type="text/markdown", characters=60),))


def call(
    task: Task, *results: dict[str, Any], tools: tuple[str, ...] = ("search_documents", "read_document")
) -> ModelCall:
    transcript = tuple(
        Message("tool", from_record(json.dumps(result)), tool_call_id=str(n)) for n, result in enumerate(results)
    )
    schemas = tuple(ToolSchema(name=name, description=name, parameters={}) for name in tools)
    prompt = Message("user", from_record(task.model_dump_json() * 20))
    return ModelCall("run-1", "thread-1", task, (prompt, *transcript), schemas, transcript, allow_tools=True)


def step_task(
    goal: str, feedback: str = "", known: tuple[StepOutcome, ...] = (), tools: tuple[str, ...] = ()
) -> StepTask:
    step = Step(id="s1", goal=goal, done_when="it is quoted", tools=tools)
    return StepTask(goal=goal, step=step, overview=OVERVIEW, known=known, feedback=feedback)


def outcome(id_: str, finding: str, *sources: Source, status: str = "done", attempt: int = 1) -> StepOutcome:
    values = {"step_id": id_, "status": status, "finding": finding, "sources": sources, "attempt": attempt}
    return StepOutcome.model_validate(values)


async def tool_call(task: StepTask, *results: dict[str, Any], **named: Any) -> ToolCall:
    return (await OfflineModel().complete(call(task, *results, **named))).tool_calls[0]


async def test_a_step_searches_then_reports_what_it_found_with_its_ref() -> None:
    task = step_task("Within how many days can goods be returned?")
    first = await tool_call(task)
    assert first.name == "search_documents"
    assert first.arguments["query"].startswith(task.step.goal)
    report = await tool_call(task, {"hits": [HIT]})
    assert report.name == "report"
    assert report.arguments == {"status": "done", "finding": TEXT, "sources": ["refunds.md#1"]}


async def test_a_step_that_finds_nothing_says_so() -> None:
    report = await tool_call(step_task("Who pays for expedited shipments?"), {"hits": [HIT]})
    assert report.arguments["status"] == "failed"
    assert report.arguments["finding"] == "The documents do not say: “Who pays for expedited shipments”."


async def test_a_step_that_finds_something_close_refuses_and_cites_it() -> None:
    report = await tool_call(step_task("Who inspects goods that are returned within 30 days?"), {"hits": [HIT]})
    assert report.arguments["status"] == "failed"
    assert report.arguments["finding"].endswith(
        f"“Who inspects goods that are returned within 30 days”. Closest: {TEXT}"
    )
    assert report.arguments["sources"] == ["refunds.md#1"]


async def test_a_price_list_says_what_things_cost_before_a_table_of_what_was_paid() -> None:
    columns, samples = (("job", "VARCHAR"), ("paid_gbp", "DECIMAL(6,2)")), {"job": ("Oil change", "New tyre")}
    table = TableInfo(name="repairs", path="repairs.csv", columns=columns, rows=9, samples=samples)
    task = step_task("Which costs more, an oil change or a new tyre?")
    task = task.model_copy(update={"overview": Overview(tables=(table,))})
    prices = HIT | {"ref": "prices.md#0", "path": "prices.md", "text": "- Oil change: £40\n- New tyre: £65"}
    assert (await tool_call(task)).name == "search_documents"
    assert (await tool_call(task, {"hits": [prices]})).name == "calculate"
    assert (await tool_call(task, {"hits": []})).name == "query_table"


async def test_a_tool_that_fails_is_no_finding() -> None:
    error = {"error": {"code": "timeout", "message": "the search took too long", "hint": ""}}
    report = await tool_call(step_task("Who handles refunds?"), error, error)
    assert report.arguments["status"] == "failed"


async def test_an_e_mail_carries_the_finding_to_the_placeholder_as_it_stands() -> None:
    known = (outcome("s0", TEXT, Source(ref="refunds.md#1", path="refunds.md")),)
    task = step_task("draft an e-mail to [EMAIL_1] with it", known=known, tools=("draft_email",))
    drafted = await tool_call(task, tools=("draft_email",))
    assert drafted.name == "draft_email"
    assert drafted.arguments["to"] == "[EMAIL_1]"
    assert TEXT in drafted.arguments["body"]
    refused = await tool_call(task, {"error": {"code": "rejected", "message": "not now"}}, tools=("draft_email",))
    assert refused.arguments["finding"] == "The e-mail to [EMAIL_1] was not drafted: not now"


async def test_an_e_mail_without_an_address_or_a_finding_is_not_written() -> None:
    nobody = await tool_call(step_task("draft an e-mail with the total", known=(outcome("s0", "Total: 5."),)))
    nothing = await tool_call(step_task("draft an e-mail to [EMAIL_1] with the total"))
    assert [report.arguments["status"] for report in (nobody, nothing)] == ["failed", "failed"]


def review_of(*outcomes: StepOutcome, round_: int = 0) -> ReviewTask:
    steps = tuple(
        Step(id=o.step_id, goal=f"goal {o.step_id}", done_when="d", tools=("search_documents",)) for o in outcomes
    )
    return ReviewTask(goal="g", plan=Plan(steps=steps), outcomes=outcomes, round=round_)


async def verdict_on(task: ReviewTask) -> Verdict:
    reply = await OfflineModel().complete(call(task))
    assert isinstance(reply.parsed, Verdict)
    assert Verdict.model_validate_json(reply.text) == reply.parsed
    return reply.parsed


async def test_that_the_documents_do_not_say_it_is_accepted_and_stated() -> None:
    missing = "The documents do not say: “x”."
    source = Source(ref="a.md#0", path="a.md")
    verdict = await verdict_on(review_of(outcome("s1", TEXT, source), outcome("s2", missing, status="failed")))
    assert verdict.decision == "accept"
    assert missing in verdict.reasons[0]


async def test_an_action_that_was_not_carried_out_is_given_up() -> None:
    failed = outcome("s1", "The e-mail was not sent: rejected", status="failed", attempt=2)
    assert (await verdict_on(review_of(failed, round_=1))).decision == "give_up"


MARKDOWN = Profile(structure="markdown")


def answer_of(
    *outcomes: StepOutcome, profile: Profile = MARKDOWN, memory: tuple[str, ...] = (), goal: str = "g"
) -> AnswerTask:
    sources = tuple({source.ref: source for o in outcomes for source in o.sources}.values())
    return AnswerTask(goal=goal, outcomes=outcomes, sources=sources, profile=profile, memory=memory)


A, B = Source(ref="a.md#0", path="a.md"), Source(ref="b.md#0", path="b.md")


async def written(task: AnswerTask) -> str:
    return (await OfflineModel().complete(call(task))).text


async def test_the_answer_cites_each_finding_by_number_and_states_the_gap() -> None:
    text = await written(
        answer_of(outcome("s1", "It is 30 days.", A), outcome("s2", "The documents do not say: “x”.", status="failed"))
    )
    assert text == "It is 30 days. [1]\n\nThe documents do not say: “x”."


GROUPED = outcome("s1", "**Total** by country:\n- Spain: 5 EUR\n- Italy: 7 EUR\n- Malta: 1 EUR\n- Crete: 2 EUR", A)


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (
            {"length": "brief", "modality": "speech"},
            "Total by country: Spain: 5 EUR Italy: 7 EUR and 2 more It is 30 days.",
        ),
        (
            {"length": "brief", "structure": "plain"},
            "Total by country: [1]\n- Spain: 5 EUR\n- Italy: 7 EUR\n- and 2 more\n\nIt is 30 days. [2]",
        ),
        (
            {"structure": "facts"},
            "- Total by country: [1]\n- Spain: 5 EUR\n- Italy: 7 EUR\n- Malta: 1 EUR\n- Crete: 2 EUR\n"
            "- It is 30 days. [2]",
        ),
        (
            {"length": "full", "structure": "markdown"},
            f"{GROUPED.finding.replace(':', ': [1]', 1)}\n\nIt is 30 days. [2]\n\nSources:\n[1] a.md\n[2] b.md",
        ),
    ],
)
async def test_length_structure_and_modality_shape_the_same_findings(profile: dict[str, str], text: str) -> None:
    task = answer_of(GROUPED, outcome("s2", "It is 30 days.", B), profile=Profile.model_validate(profile))
    assert await written(task) == text


async def test_the_answer_streams_in_pieces_that_join_to_the_text() -> None:
    pieces: list[str] = []

    async def on_piece(piece: str | CallPiece) -> None:
        assert isinstance(piece, str)
        pieces.append(piece)

    reply = await OfflineModel().complete(call(answer_of(outcome("s1", "One two three.\nFour five.", A))), on_piece)
    assert "".join(pieces) == reply.text
    assert len(pieces) > 4


@pytest.mark.parametrize(
    "goal", ["How long is the warranty, and who approves it?", "?!", "x" * 5_000, "1+", "\n- a\n- b"]
)
async def test_any_goal_makes_a_valid_plan_and_the_same_bytes_each_time(goal: str) -> None:
    async def reply() -> ModelReply:
        return await OfflineModel().complete(call(PlanTask(goal=goal, overview=OVERVIEW)))

    first, second = await reply(), await reply()
    assert first == second
    assert isinstance(first.text, Redacted)
    assert Plan.model_validate_json(first.text) == first.parsed


async def test_a_run_s_second_call_reads_its_prefix_from_the_cache_and_costs_nothing() -> None:
    model, request = OfflineModel(), call(PlanTask(goal="What is the fee?", overview=OVERVIEW))
    first, second = await model.complete(request), await model.complete(request)
    assert (first.usage.cached_tokens, first.usage.cost_usd, model.estimate(request)) == (0, 0, 0)
    assert 0 < second.usage.cached_tokens < second.usage.input_tokens
    assert second.usage.output_tokens == len(second.text) // 4
