"""One effectful tool for each way to reconcile; each does nothing but call the counter, as a real one its provider."""

from typing import Literal

from graph.errors import OutcomeUnknown
from graph.tools.registry import Arguments, Call, CanCheck, Check, Output, Reconcile, Tool, ToolContext
from tests.chaos.counter import Wire

STAMPS: dict[str, Literal["pure", "honours_key", "can_check", "ask_a_person"]] = {
    "stamp_honours": "honours_key",
    "stamp_checks": "can_check",
    "stamp_asks": "ask_a_person",
    "stamp_doubts": "ask_a_person",
    "stamp_pure": "pure",
    "stamp_approved": "honours_key",
}


class Stamp(Arguments):
    text: str


def stamps(wire: Wire) -> tuple[Tool, ...]:
    check = CanCheck(_check(wire))
    return tuple(_stamp(wire, name, check if how == "can_check" else how) for name, how in STAMPS.items())


def _stamp(wire: Wire, name: str, reconcile: Reconcile) -> Tool:
    return Tool(
        name=name,
        description="Stamps a text, out there",
        parameters=Stamp,
        call=_call(wire, name),
        risk=3 if name == "stamp_approved" else 1,
        reconcile=reconcile,
    )


def _call(wire: Wire, name: str) -> Call:
    async def call(arguments: Stamp, context: ToolContext) -> Output:
        where = {"run": context.run_id, "step": context.step_id, "text": arguments.text, "key": context.key}
        await wire.ask(act="effect", tool=name, **where)
        if name == "stamp_doubts":
            raise OutcomeUnknown("the line broke while it was stamped")
        return Output(data={"stamped": arguments.text})

    return call


def _check(wire: Wire) -> Check:
    async def check(arguments: Stamp, context: ToolContext) -> Output | None:
        answer = await wire.ask(act="check", key=context.key)
        return Output(data={"stamped": arguments.text}) if answer["happened"] else None

    return check
