"""What a whole run sends, as a prefix cache sees it: one beginning for all roles, and after it only additions."""

from collections import defaultdict
from itertools import pairwise

from graph.ports import ModelCall, ModelReply, StepTask
from privacy.redact import Redacted, from_record
from serving.documents.document import ParsedDocument, Section
from tests.integration.run_house import House, Lookup
from tests.integration.scripted_models import (
    ACCEPT,
    REPLAN,
    ScriptedModels,
    finds_and_reports,
    plans,
    revise,
    rules,
    written,
)


async def calls_of_a_long_run(house: House) -> list[ModelCall]:
    """Two steps side by side, one behind them, one done again, and a second plan."""
    models = ScriptedModels(planner=plans("s1", "s2", "s3<s1,s2"), critic=rules(revise("s1"), REPLAN, ACCEPT))
    view = await house.finish(models, Lookup(), goal="Find both parts; I always want amounts in EUR")
    assert view.status == "success"
    return models.calls


async def test_every_call_of_a_run_begins_with_the_same_bytes(house: House) -> None:
    calls = await calls_of_a_long_run(house)
    assert {call.task.role for call in calls} == {"planner", "worker", "critic", "writer"}
    assert len({written(call.messages[:2]) for call in calls}) == 1
    assert all(call.tools == calls[0].tools for call in calls), "tool schemas are a part of the prefix as well"
    assert [message.role for message in calls[0].messages[:2]] == ["system", "user"]


async def test_later_calls_of_a_role_extend_the_earlier_ones(house: House) -> None:
    """All but the last message of a call, the instruction, is the beginning of the role's next call."""
    by_role: dict[str, list[ModelCall]] = defaultdict(list)
    for call in await calls_of_a_long_run(house):
        if not isinstance(call.task, StepTask):
            by_role[call.task.role].append(call)
    assert [len(by_role[role]) for role in ("planner", "critic", "writer")] == [2, 3, 1]
    for calls in by_role.values():
        for earlier, later in pairwise(calls):
            shared = earlier.messages[:-1]
            assert later.messages[: len(shared)] == shared


async def test_the_turns_of_a_step_extend_each_other(house: House) -> None:
    loops: dict[tuple[str, str, int], list[ModelCall]] = defaultdict(list)
    for call in await calls_of_a_long_run(house):
        if isinstance(call.task, StepTask):
            plans_seen = sum(message.content.startswith("Plan:") for message in call.messages)
            known = sum(outcome.attempt for outcome in call.task.known)
            loops[call.task.step.id, call.task.feedback, plans_seen * 100 + known].append(call)
    assert len(loops) == 8
    for calls in loops.values():
        first, second = calls
        assert second.messages[: len(first.messages) - 1] == first.messages[:-1]
        assert second.messages[-1] == first.messages[-1]
        assert len(second.messages) == len(first.messages) + 2


async def test_nothing_but_redacted_text_is_sent(house: House) -> None:
    for call in await calls_of_a_long_run(house):
        assert all(type(message.content) is Redacted for message in (*call.messages, *call.transcript))


async def test_another_run_with_the_same_goal_sends_the_same_bytes(house: House) -> None:
    """Other ids, another time, another fence: a provider's cache answers for both."""
    seen = []
    for _ in range(2):
        models = ScriptedModels(planner=plans("s1", "s2<s1"))
        view = await house.finish(models)
        seen.append([written(call.messages) for call in models.calls])
        assert all(view.run_id.encode() not in prompt for prompt in seen[-1])
    assert seen[0] == seen[1]


async def test_an_ingest_during_a_run_moves_nothing(house: House) -> None:
    documents = house.parts(ScriptedModels()).documents

    async def ingest(path: str) -> None:
        section = Section(heading="", page=None, text=f"{path} says 42")
        parsed = ParsedDocument(path=path, media_type="text/plain", digest=path, sections=(section,))
        await documents.put("pantry", [parsed.redacted(from_record)])

    async def ingesting(call: ModelCall) -> ModelReply:
        await ingest("later.txt")
        return await finds_and_reports(call)

    await ingest("first.txt")
    models = ScriptedModels(worker=ingesting)
    assert (await house.finish(models, collection="pantry")).status == "success"
    assert len({written(call.messages[:2]) for call in models.calls}) == 1
    assert "first.txt" in models.calls[-1].messages[1].content
    assert {len(call.task.overview.documents) for call in models.calls if isinstance(call.task, StepTask)} == {1}


async def test_a_threads_next_run_knows_the_last_answer(house: House) -> None:
    view = await house.finish(ScriptedModels(), goal="How much is it?")
    models = ScriptedModels()
    second = await house.finish(models, goal="And in EUR?", thread_id=view.thread_id)
    assert second.thread_id == view.thread_id
    said = str(models.calls[0].messages[1].content)
    assert "# Earlier in this conversation\n- How much is it?\n  It is 42 [1]." in said
