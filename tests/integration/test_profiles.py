"""Response profiles: the channel is stored data, and decides how the same findings are told."""

from collections.abc import AsyncIterator

import httpx
import pytest

from graph.ports import ModelCall
from graph.profile import Profile
from serving.errors import BadRequest, NotFound
from serving.models.offline import OfflineModel
from serving.profiles.store import ProfileStore
from serving.runs.fork import Fork
from serving.runs.requests.request import RunRequest
from tests.integration.run_house import House
from tests.integration.scripted_models import ScriptedModels, plans, written

BUILT_IN = ["api", "cli", "mcp", "voice", "web"]


@pytest.fixture
async def profiles(house: House) -> AsyncIterator[ProfileStore]:
    yield ProfileStore(house.pool)
    house.execute("delete from profiles where tenant <> '*'")


async def told(house: House, channel: str) -> tuple[str, ModelCall]:
    """(the answer, the writer's call) of the same goal with the same findings."""
    models = ScriptedModels(planner=plans("s1", "s2"), writer=OfflineModel().complete)
    view = await house.finish(models, channel=channel)
    assert view.status == "success"
    return view.answer or "", models.by("writer")[0]


async def test_the_same_goal_is_answered_differently_on_three_channels(house: House) -> None:
    (web, for_web), (voice, for_voice), (mcp, for_mcp) = [await told(house, name) for name in ("web", "voice", "mcp")]
    assert web == "s1 is 42 [1]\n\ns2 is 42 [2]"
    assert voice == "s1 is 42 s2 is 42"
    assert mcp == "- s1 is 42 [1]\n- s2 is 42 [2]"
    instructions = [str(call.messages[-1].content) for call in (for_web, for_voice, for_mcp)]
    assert ["Markdown." in text and "read aloud" not in text for text in instructions] == [True, False, False]
    assert "It is read aloud" in instructions[1]
    assert "a list of facts" in instructions[2]
    shared = {written(call.messages[:-1]) for call in (for_web, for_voice, for_mcp)}
    assert len(shared) == 1, "the prefix that all share must not move with the channel"


async def test_a_channel_of_ones_own_is_used_by_runs_made_from_then_on(house: House, profiles: ProfileStore) -> None:
    await profiles.set("pager", {"length": "brief", "structure": "facts"})
    before = await house.create(channel="pager")
    await profiles.set("pager", {"structure": "markdown"})
    after = await house.create(channel="pager")
    kept = {str(run): row for run, row in house.execute("select run_id, profile from runs")}
    assert [kept[run]["structure"] for run in (before, after)] == ["facts", "markdown"]
    assert Profile.model_validate(kept[after]).length == "brief", "what a change doesn't name stays"
    claims = {claim.run_id: claim for claim in await house.queue.claim(limit=2)}
    assert claims[before].profile == kept[before]


async def test_a_fork_keeps_the_profile_of_its_run(house: House, profiles: ProfileStore) -> None:
    view = await house.finish(ScriptedModels(), channel="voice")
    await profiles.set("voice", {"modality": "text"})
    fork, _ = await house.forks.fork(view.run_id, Fork(), "ops")
    assert house.execute("select profile ->> 'modality' from runs where run_id = %s", fork.run_id) == [("speech",)]


async def test_a_tenants_profile_hides_the_built_in_one_until_it_is_removed(
    house: House, profiles: ProfileStore
) -> None:
    await profiles.set("web", {"length": "full"})
    assert (await profiles.get("web")).own
    other = await profiles.of("other").get("web")
    assert (other.own, other.profile.length) == (False, "normal")
    await profiles.remove("web")
    assert not (await profiles.get("web")).own
    with pytest.raises(NotFound, match="no profile of your own"):
        await profiles.remove("web")


async def test_an_unknown_channel_is_refused_with_the_known_ones(house: House) -> None:
    with pytest.raises(BadRequest, match="known are api, cli, mcp, voice, web") as refused:
        await house.store.create(RunRequest(goal="g", channel="telepathy"))
    assert refused.value.code == "unknown_channel"
    assert house.execute("select count(*) from runs") == [(0,)]


async def test_a_run_of_the_langgraph_sdk_has_its_channels_profile_too(house: House, api: httpx.AsyncClient) -> None:
    asked = {"assistant_id": "trireme", "input": {"messages": [{"role": "user", "content": "Find it"}]}}
    made = await api.post("/runs", json={**asked, "context": {"channel": "voice"}})
    assert made.is_success, made.text
    query = "select profile ->> 'modality' from runs where run_id = %s"
    assert house.execute(query, made.json()["run_id"]) == [("speech",)]
    refused = await api.post("/runs", json={**asked, "context": {"channel": "telepathy"}})
    assert refused.json()["code"] == "unknown_channel"


async def test_profiles_over_http(api: httpx.AsyncClient, profiles: ProfileStore) -> None:
    assert [each["channel"] for each in (await api.get("/profiles")).json()] == BUILT_IN
    made = await api.put("/profiles/kiosk", json={"length": "brief"})
    assert made.json() == {"channel": "kiosk", "own": True, "profile": Profile(length="brief").model_dump()}
    assert (await api.get("/profiles/kiosk")).json() == made.json()
    assert (await api.delete("/profiles/kiosk")).status_code == 204
    assert (await api.get("/profiles/kiosk")).json()["code"] == "unknown_channel"


@pytest.mark.parametrize(
    ("channel", "body", "code"),
    [
        ("web", {"length": "endless"}, "bad_profile"),
        ("web", {"tone": "warm"}, "bad_profile"),
        ("Web Site", {"length": "brief"}, "bad_channel"),
        ("x" * 41, {"length": "brief"}, "bad_channel"),
    ],
)
async def test_a_profile_that_is_none_is_refused(
    api: httpx.AsyncClient, channel: str, body: dict[str, str], code: str
) -> None:
    answer = await api.put(f"/profiles/{channel}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert [each["channel"] for each in (await api.get("/profiles")).json()] == BUILT_IN


async def test_turns_that_a_caller_brings_are_what_was_said_on_a_new_thread(house: House) -> None:
    models, turns = ScriptedModels(), (("Who owns Alma?", "Kai does."),)
    view = await house.finish(models, goal="And Berta?", turns=turns)
    assert "- Who owns Alma?\n  Kai does." in str(models.calls[0].messages[1].content)
    again = ScriptedModels()
    await house.finish(again, goal="And Cora?", thread_id=view.thread_id, turns=(("Not this?", "No."),))
    said = str(again.calls[0].messages[1].content)
    assert "And Berta?" in said
    assert "Who owns Alma?" in said
    assert "Not this?" not in said
