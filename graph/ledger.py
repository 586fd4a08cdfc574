"""The effect ledger's values, and the port behind which its rows rest."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from pydantic import Field

from graph.state import Value

EffectState = Literal["proposed", "approved", "prepared", "done", "failed", "unknown"]
EffectVerdict = Literal["happened", "did_not", "retry"]


class EffectCall(Value):
    """An action with an effect. `key` is made from the run and all of the rest, and of nothing else."""

    key: str
    step_id: str
    tool: str
    arguments: dict[str, Any]


class Effect(Value):
    """A row of the ledger. `fresh`: this very `prepare` let the call out; else one that died did, before this one."""

    key: str
    state: EffectState
    result: dict[str, Any] | None = None
    reason: str = Field(default="", description="why it is unknown")
    fresh: bool = False


class EffectDecision(Value):
    """What a person says about an effect that is `unknown`; `round`: to which asking, 1 and one more for each retry."""

    decision: EffectVerdict
    round: int = 1
    note: str = ""
    by: str = ""


class Ledger(Protocol):
    """Rows that make an effect happen once. Every method raises FenceLost and StorageLost."""

    def in_flight(self, key: str, patience_s: float) -> AbstractAsyncContextManager[bool]:
        """Around everything that may let the call out: nobody makes it elsewhere meanwhile, checks for it, or says that
        it didn't happen. False when for `patience_s` another process, which may stand still, could still make it."""

    async def prepare(self, call: EffectCall) -> Effect:
        """Lets the call out: `prepared` is committed when it returns. Else the row as it stands."""

    def check_lease(self) -> None:
        """The last thing before a call: who stood still since `prepare` may have been followed by another attempt."""

    async def settle(self, key: str, state: Literal["done", "failed"], result: Mapping[str, Any]) -> None:
        """Ends a prepared effect with what is to be told whenever it is asked for again."""

    async def leave_open(self, call: EffectCall, reason: str, in_flight: bool = False) -> None:
        """A prepared effect becomes `unknown`: a person decides, of one `in_flight` elsewhere when it no longer is."""

    async def hear(self, key: str, decision: EffectDecision) -> None:
        """What a resume carried. Where decisions rest in rows it only wakes the run and decides nothing."""
