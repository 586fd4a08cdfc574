"""A plan is an acyclic set of steps, whatever a model says; `ready` gives them in an order that can be carried out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from graph.state import MAX_STEPS, Plan, Step


def step(id_: str, *needs: str) -> Step:
    return Step(id=id_, goal=f"do {id_}", depends_on=needs, done_when="done")


def ids(steps: tuple[Step, ...]) -> list[str]:
    return [step.id for step in steps]


@st.composite
def dags(draw: st.DrawFn) -> tuple[Step, ...]:
    """Up to 12 steps in any order, each depending on some that were drawn before it."""
    names = draw(st.lists(st.integers(1, 99).map(lambda n: f"s{n}"), min_size=1, max_size=MAX_STEPS, unique=True))
    steps = [step(name, *draw(st.sets(st.sampled_from(names[:at]))) if at else ()) for at, name in enumerate(names)]
    return tuple(draw(st.permutations(steps)))


def carried_out(plan: Plan) -> list[list[str]]:
    """The waves in which a plan's steps run."""
    settled: set[str] = set()
    waves = []
    while ready := plan.ready(settled):
        waves.append(ids(ready))
        settled |= set(ids(ready))
    return waves


@given(dags())
def test_every_step_of_any_dag_runs_once_and_behind_all_it_needs(steps: tuple[Step, ...]) -> None:
    waves = carried_out(Plan(steps=steps))
    order = [id_ for wave in waves for id_ in wave]
    assert sorted(order) == sorted(ids(steps))
    place = {id_: at for at, wave in enumerate(waves) for id_ in wave}
    assert all(place[need] < place[one.id] for one in steps for need in one.depends_on)


@given(dags(), st.data())
def test_closing_a_circle_in_any_dag_is_refused(steps: tuple[Step, ...], data: st.DataObject) -> None:
    first, last = carried_out(Plan(steps=steps))[0][0], data.draw(st.sampled_from(ids(steps)))
    needed = _needed_by(last, {one.id: one for one in steps}) | {last}
    if first not in needed:
        first = last
    circle = {first: (*Plan(steps=steps).step(first).depends_on, last)}
    closed = [one.model_copy(update={"depends_on": circle.get(one.id, one.depends_on)}) for one in steps]
    with pytest.raises(ValidationError, match="depend on each other"):
        Plan(steps=tuple(closed))


def _needed_by(id_: str, steps: dict[str, Step]) -> set[str]:
    direct = set(steps[id_].depends_on)
    return direct.union(*(_needed_by(need, steps) for need in direct))


@given(dags())
def test_a_plan_survives_its_json_form(steps: tuple[Step, ...]) -> None:
    plan = Plan(steps=steps)
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


def test_ready_steps_come_in_the_plans_own_order() -> None:
    plan = Plan(steps=(step("s9"), step("s1", "s9"), step("s5"), step("s3", "s9", "s5")))
    assert ids(plan.ready(set())) == ["s9", "s5"]
    assert ids(plan.ready({"s9"})) == ["s1", "s5"]
    assert ids(plan.ready({"s9", "s5"})) == ["s1", "s3"]
    assert plan.ready({"s9", "s5", "s1", "s3"}) == ()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((step("s1", "s1"),), "steps s1 depend"),
        ((step("s1", "s2"), step("s2", "s1")), "steps s1, s2 depend"),
        ((step("s1"), step("s2", "s3"), step("s3", "s4"), step("s4", "s2")), "steps s2, s3, s4 depend"),
        ((step("s1", "s2"), step("s2", "s3"), step("s3", "s2")), "steps s2, s3 depend"),
        ((step("s1", "s7"),), "step s1 depends on s7, which the plan doesn't have"),
        ((step("s1"), step("s1")), "share an id: s1, s1"),
    ],
    ids=["itself", "each-other", "circle-of-three", "behind-a-circle", "unknown", "doubled-id"],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_by_name(steps: tuple[Step, ...], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Plan(steps=steps)


def test_a_plan_has_one_to_twelve_steps() -> None:
    with pytest.raises(ValidationError):
        Plan(steps=())
    Plan(steps=tuple(step(f"s{n}") for n in range(1, 13)))
    with pytest.raises(ValidationError):
        Plan(steps=tuple(step(f"s{n}") for n in range(1, 14)))


@pytest.mark.parametrize("id_", ["", "1", "s", "s123", "S1", "step1", "s1; drop table runs"])
def test_a_steps_id_has_one_shape(id_: str) -> None:
    with pytest.raises(ValidationError):
        step(id_)
