"""What a graph asks a person, each question with the subgraph that asks it, as the thread-centric protocol tells it."""

from collections.abc import Iterator
from typing import Any

from langgraph.types import StateSnapshot

from serving.hosting.channels import ASKED
from serving.hosting.parts import Part


def questions_of(state: StateSnapshot) -> list[Part]:
    """`state` is read with its subgraphs. One that LangGraph can't look into leaves its questions to its parent."""
    within = dict(_asked(state))
    return [(ASKED + within.get(each.id, ""), {"id": each.id, "value": each.value}) for each in state.interrupts]


def _asked(state: StateSnapshot) -> Iterator[tuple[str, str]]:
    """(id of the interrupt, where in the name of an event its graph stands)"""
    namespace: Any = state.config["configurable"].get("checkpoint_ns")
    for task in state.tasks:
        if isinstance(task.state, StateSnapshot):
            yield from _asked(task.state)
        else:
            yield from ((interrupt.id, f"|{namespace}" if namespace else "") for interrupt in task.interrupts)
