"""`trireme effects` refuses what it can't use before it starts anything, and says how it goes."""

from typing import Any

import pytest

from serving.cli.effects import _chosen, _line, show_effects
from serving.errors import BadRequest, NotFound, ServingError

RUN = "019f8d5e-0000-7000-8000-000000000001"
EFFECT: dict[str, Any] = {
    "run_id": RUN,
    "run_status": "interrupted",
    "key": "ab12" + "0" * 60,
    "step_id": "s1",
    "tool": "send_email",
    "state": "unknown",
    "reason": "the line broke",
    "arguments": {"to": "anna@example.com"},
    "decision": None,
    **dict.fromkeys(("proposed_at", "approved_at", "settled_at"), None),
    **dict.fromkeys(("prepared_at", "unknown_at"), "2026-11-21T09:00:00.5Z"),
}


@pytest.mark.parametrize(
    ("run_id", "state", "decide", "hint"),
    [
        (None, "lost", None, "proposed, approved, prepared, done, failed, unknown"),
        (RUN, None, ("ab", "perhaps"), "happened|did-not|retry"),
        (None, None, ("ab", "retry"), "trireme effects RUN --decide"),
        ("not-a-run", None, None, ""),
    ],
)
async def test_what_cannot_be_used_is_refused(
    run_id: str | None, state: str | None, decide: tuple[str, str] | None, hint: str
) -> None:
    with pytest.raises(ServingError) as refused:
        await show_effects(run_id, state, decide, "", False)
    assert refused.value.exit_code == 2
    assert hint in refused.value.hint


def test_the_beginning_of_a_key_is_enough_when_only_one_has_it() -> None:
    effects = [EFFECT, {**EFFECT, "key": "ab34" + "0" * 60}]
    assert _chosen(effects, RUN, "ab1") is effects[0]
    with pytest.raises(BadRequest, match="2 effects begin with 'ab'"):
        _chosen(effects, RUN, "ab")
    for unknown in ("cd", ""):
        with pytest.raises(NotFound):
            _chosen(effects, RUN, unknown)


def test_an_unknown_effect_is_shown_with_its_arguments_and_the_command_that_decides() -> None:
    first, *rest = _line(EFFECT, with_run=False).splitlines()
    assert first == "ab1200000000  unknown   2026-11-21T09:00:00  s1 send_email"
    assert [line.strip() for line in rest] == [
        "the line broke",
        "to: anna@example.com",
        f"trireme effects {RUN} --decide ab1200000000 happened|did-not|retry",
    ]
    over = _line({**EFFECT, "run_status": "cancelled"}, with_run=True)
    assert RUN in over.splitlines()[0]
    assert over.endswith("--decide ab1200000000 happened|did-not   (the run is cancelled)")
    assert _line({**EFFECT, "run_status": "deleted"}, with_run=True).endswith("happened|did-not   (the run is deleted)")
