"""Every option of a cron's runs, in each of the ways in which the SDK says them; every field and order of a search."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from langgraph_sdk.errors import UnprocessableEntityError

NEVER_YET = "0 9 1 1 *"
MODES: Final = ["values", "messages", "updates", "events", "tasks", "checkpoints", "debug", "custom", "messages-tuple"]
FIELDS: Final = [
    "cron_id", "assistant_id", "thread_id", "end_time", "schedule", "timezone", "created_at", "updated_at", "user_id",
    "payload", "next_run_date", "metadata", "on_run_completed", "enabled",
]  # fmt: skip
OPTIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "input": {"steps": 1},
        "config": {"tags": ["daily"], "configurable": {"rank": "mate"}},
        "context": {"captain": "Ann"},
        "webhook": "https://example.com/hook",
        "interrupt_before": ["step"],
        "interrupt_after": ["step"],
        "stream_mode": [*MODES, "tools"],
        "stream_subgraphs": True,
        "stream_resumable": True,
        "durability": "sync",
    },
    {"interrupt_before": "*", "interrupt_after": "*", "durability": "async"},
    {"durability": "exit", "stream_mode": ["values"], "stream_subgraphs": False, "stream_resumable": False},
)


@pytest.mark.parametrize("options", OPTIONS)
async def test_a_cron_keeps_what_is_asked_of_its_runs(client: Any, thread: str, options: Any) -> None:
    until, zone = datetime.now(UTC) + timedelta(days=800), "Europe/Athens"
    asked: Any = {"schedule": NEVER_YET, "end_time": until, "timezone": zone, "enabled": False, "metadata": {"a": 1}}
    made = [
        await client.crons.create("slow", **asked, **options),
        await client.crons.create_for_thread(thread, "slow", **asked, **options),
    ]
    blank = await client.crons.create("slow", schedule=NEVER_YET)
    made.append(await client.crons.update(blank["cron_id"], **asked, **options))
    for cron in made:
        payload = cron["payload"]
        config, kept = options.get("config", {}), payload.pop("config", {})
        assert payload.items() >= {name: value for name, value in options.items() if name != "config"}.items()
        assert kept.get("tags") == config.get("tags")
        assert kept.get("configurable", {}).items() >= config.get("configurable", {}).items()
        assert (cron["enabled"], cron["timezone"], cron["metadata"]) == (False, zone, {"a": 1})
        assert datetime.fromisoformat(cron["end_time"]) == until
        await client.crons.delete(cron["cron_id"])


async def test_a_mode_that_nobody_streams_is_refused(client: Any, thread: str) -> None:
    cron = await client.crons.create("slow", schedule=NEVER_YET)
    asked: Any = {"schedule": NEVER_YET, "stream_mode": "lifecycle"}
    for refused in (
        client.crons.create("slow", **asked),
        client.crons.create_for_thread(thread, "slow", **asked),
        client.crons.update(cron["cron_id"], **asked),
    ):
        with pytest.raises(UnprocessableEntityError, match="stream_mode"):
            await refused
    await client.crons.delete(cron["cron_id"])


@pytest.mark.parametrize("strategy", ["reject", "enqueue", "interrupt", "rollback"])
async def test_a_cron_keeps_what_its_runs_do_to_others(client: Any, thread: str, strategy: Any) -> None:
    made = [
        await client.crons.create("slow", schedule=NEVER_YET, multitask_strategy=strategy),
        await client.crons.create_for_thread(thread, "slow", schedule=NEVER_YET, multitask_strategy=strategy),
    ]
    for cron in made:
        assert cron["payload"]["multitask_strategy"] == strategy
        await client.crons.delete(cron["cron_id"])


async def test_checkpoint_during_is_an_older_name_for_durability(client: Any, thread: str) -> None:
    asked: Any = {"schedule": NEVER_YET, "checkpoint_during": False}
    with pytest.warns(DeprecationWarning, match="checkpoint_during"):
        made = [
            await client.crons.create("slow", **asked),
            await client.crons.create_for_thread(thread, "slow", **asked),
        ]
    for cron in made:
        assert cron["payload"]["checkpoint_during"] is False
        await client.crons.delete(cron["cron_id"])


async def test_what_becomes_of_the_threads_can_be_changed(client: Any) -> None:
    cron = await client.crons.create("slow", schedule=NEVER_YET, on_run_completed="keep")
    for behavior in ("delete", "keep"):
        changed = await client.crons.update(cron["cron_id"], on_run_completed=behavior)
        assert changed["on_run_completed"] == behavior
    await client.crons.delete(cron["cron_id"])


async def test_a_search_gives_each_field_alone_in_each_order(client: Any) -> None:
    assistant = (await client.assistants.create("slow"))["assistant_id"]
    crons = [await client.crons.create(assistant, schedule=f"0 {hour} 1 1 *") for hour in (7, 8)]
    for field in FIELDS:
        found = await client.crons.search(
            assistant_id=assistant, sort_by="created_at", sort_order="asc", select=[field]
        )
        assert found == [{field: cron[field]} for cron in crons]
    for by in ("cron_id", "created_at", "updated_at", "next_run_date"):
        for order, expected in (("asc", crons), ("desc", crons[::-1])):
            assert await client.crons.search(assistant_id=assistant, sort_by=by, sort_order=order) == expected
    for by in ("assistant_id", "thread_id", "end_time"):
        assert len(await client.crons.search(assistant_id=assistant, sort_by=by)) == 2
    for cron in crons:
        await client.crons.delete(cron["cron_id"])
