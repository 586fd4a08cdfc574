"""`trireme effects`: what runs changed outside, and a person's word on what nobody knows."""

from collections.abc import AsyncIterator
from typing import Any, get_args

from graph.ledger import EffectState, EffectVerdict
from serving.cli.client import Client
from serving.cli.decisions import send_verdict
from serving.cli.output import print_json
from serving.cli.printable import printable
from serving.cli.runs import opened, watch
from serving.errors import BadRequest, Conflict, NotFound
from serving.runs.requests.limits import check_text
from serving.runs.view import TERMINAL

_PAGE = 200
_ENDED = (*TERMINAL, "deleted")


async def show_effects(
    run_id: str | None, state: str | None, decide: tuple[str, str] | None, note: str, json: bool
) -> int:
    if state is not None and state not in get_args(EffectState):
        raise BadRequest(f"no state is called {state!r}", f"one of {', '.join(get_args(EffectState))}")
    if note and decide is None:
        raise BadRequest("--note says why something is decided", "add --decide KEY happened|did-not|retry")
    if decide is not None:
        return await _decide(run_id, *decide, note)
    async with opened(run_id) as (client, private):
        shown = [private.restore_json(each) async for each in _all(client, run_id, state)]
    if json:
        print_json(shown)
        return 0
    for effect in shown:
        print(_line(printable(effect), with_run=run_id is None))
    if not shown:
        print("no effects" + (f" are {state}" if state else " yet: nothing outside was changed"))
    return 0


async def _decide(run_id: str | None, key: str, word: str, note: str) -> int:
    decision = word.replace("-", "_")
    if run_id is None or decision not in get_args(EffectVerdict):
        raise BadRequest(
            "say which run and what became of it", "trireme effects RUN --decide KEY happened|did-not|retry"
        )
    check_text(note, "the note")
    async with opened(run_id, worker=True) as (client, private):
        effect = _chosen([each async for each in _all(client, run_id, None)], run_id, key)
        if effect["state"] != "unknown":
            raise Conflict(f"this effect is {effect['state']}: there is nothing to decide", f"trireme effects {run_id}")
        ended = effect["run_status"] in _ENDED
        last_seq = 0 if ended else (await client.get(f"/runs/{run_id}"))["last_seq"]
        await send_verdict(client, private, run_id, private.restore_json(effect), decision, note)
        if ended:
            print(f"noted; the run stays {effect['run_status']}")
            return 0
        return await watch(client, private, run_id, last_seq)


async def _all(client: Client, run_id: str | None, state: str | None) -> AsyncIterator[dict[str, Any]]:
    query = {"limit": _PAGE} | ({"state": state} if state else {})
    route, after = "/effects" if run_id is None else f"/runs/{run_id}/effects", ""
    while after is not None:
        page = await client.get(route, **query, after=after)
        for effect in page["effects"]:
            yield effect
        after = page["next"]


def _chosen(effects: list[dict[str, Any]], run_id: str, key: str) -> dict[str, Any]:
    """The effect whose key begins with `key`."""
    found = [effect for effect in effects if key and effect["key"].startswith(key)]
    if not found:
        raise NotFound(f"run {run_id} has no effect {key[:64]!r}", f"trireme effects {run_id} lists them")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} effects begin with {key!r}", "give more of the key")
    return found[0]


def _line(effect: dict[str, Any], *, with_run: bool) -> str:
    moment = effect["settled_at"] or effect["unknown_at"] or effect["prepared_at"] or effect["approved_at"]
    parts = [effect["key"][:12], f"{effect['state']:<8}", (moment or effect["proposed_at"])[:19]]
    parts += [effect["run_id"]] if with_run else []
    lines = ["  ".join([*parts, f"{effect['step_id']} {effect['tool']}"])]
    if effect["decision"]:
        note = f": {effect['note']}" if effect["note"] else ""
        lines.append(f"    {effect['decision'].replace('_', ' ')}, says {effect['decided_by']}{note}")
    if effect["state"] == "unknown":
        lines.append(f"    {effect['reason']}")
        lines += [f"    {name}: {value}" for name, value in (effect["arguments"] or {}).items()]
        ended = effect["run_status"] in _ENDED
        words = "happened|did-not" if ended else "happened|did-not|retry"
        note = f"   (the run is {effect['run_status']})" if ended else ""
        lines.append(f"    trireme effects {effect['run_id']} --decide {effect['key'][:12]} {words}{note}")
    return "\n".join(lines)
