"""The values of a run: its plan, what each step found, the critic's verdict, the answer. All are frozen."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Decision = Literal["accept", "revise", "replan", "give_up"]
MAX_STEPS = 12


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(Value):
    id: str = Field(pattern=r"^s\d{1,2}$", description="s1, s2, ...")
    goal: str = Field(min_length=1, max_length=2_000)
    depends_on: tuple[str, ...] = ()
    tools: tuple[str, ...] = Field(default=(), description="hints: names of tools likely to help")
    done_when: str = Field(min_length=1, max_length=1_000)


class Plan(Value):
    """An acyclic set of steps; steps that don't depend on each other run at the same time."""

    steps: tuple[Step, ...] = Field(min_length=1, max_length=MAX_STEPS)

    @model_validator(mode="after")
    def _is_a_dag(self) -> "Plan":
        ids = [step.id for step in self.steps]
        if len(set(ids)) != len(ids):
            raise ValueError(f"two steps share an id: {', '.join(ids)}")
        for step in self.steps:
            if unknown := sorted(set(step.depends_on).difference(ids)):
                raise ValueError(f"step {step.id} depends on {', '.join(unknown)}, which the plan doesn't have")
        placed: set[str] = set()
        while free := self.ready(placed):
            placed.update(step.id for step in free)
        if stuck := {step.id: step for step in self.steps if step.id not in placed}:
            raise ValueError(f"steps {', '.join(_circle(stuck))} depend on each other: none of them could begin")
        return self

    def ready(self, settled: set[str]) -> tuple[Step, ...]:
        """The steps not yet settled whose dependencies all are."""
        return tuple(s for s in self.steps if s.id not in settled and settled.issuperset(s.depends_on))

    def step(self, step_id: str) -> Step:
        return next(step for step in self.steps if step.id == step_id)

    def with_dependents(self, named: set[str]) -> set[str]:
        """The named steps and all that build on them."""
        grown = named | {step.id for step in self.steps if named.intersection(step.depends_on)}
        return grown if grown == named else self.with_dependents(grown)


def _circle(stuck: Mapping[str, Step]) -> list[str]:
    """Steps that wait for one another, found among those that can't begin, each of which waits for another of them."""
    walked, at = list[str](), next(iter(stuck))
    while at not in walked:
        walked.append(at)
        at = next(need for need in stuck[at].depends_on if need in stuck)
    circle = set(walked[walked.index(at) :])
    return [id_ for id_ in stuck if id_ in circle]


class DocumentInfo(Value):
    path: str
    media_type: str
    characters: int
    headings: tuple[str, ...] = ()


class TableInfo(Value):
    """A CSV file as DuckDB sees it: `name` is what SQL says, `columns` are (name, SQL type)."""

    name: str
    path: str
    columns: tuple[tuple[str, str], ...]
    rows: int
    samples: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="column -> up to 8 distinct values")


class Overview(Value):
    """What the run's document collection holds; part of the prompt, the same for every role."""

    documents: tuple[DocumentInfo, ...] = ()
    more: int = Field(default=0, description="documents that are not listed, because there are too many")
    tables: tuple[TableInfo, ...] = ()


class Source(Value):
    """A place in the caller's documents that a finding rests on. `ref` is what tools and models cite."""

    ref: str
    path: str
    heading: str = ""
    page: int | None = None
    quote: str = ""


class Citation(Source):
    """A source that an answer cites as `[number]`."""

    number: int


class StepOutcome(Value):
    """What became of a step. `stopped`: a bound was reached first; `finding` then says what there is."""

    step_id: str
    status: Literal["done", "failed", "stopped"]
    finding: str
    sources: tuple[Source, ...] = ()
    attempt: int = 1


class Verdict(Value):
    decision: Decision
    reasons: tuple[str, ...] = ()
    revise: dict[str, str] = Field(default_factory=dict, description="step id -> what is missing")


class Answer(Value):
    text: str
    sources: tuple[Citation, ...] = ()
    partial: bool = False
    note: str = Field(default="", description="which bound or gap makes it partial")
