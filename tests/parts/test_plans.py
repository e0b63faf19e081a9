"""Plans: what is read, what is ready-made, and that every mistake is said at once with its path."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core import Settings
from grove_core.base.comparison import Objective
from grove_core.base.errors import InvalidPlan, SettingsError
from grove_core.parts.choice import Choice
from grove_core.parts.plan_tables import plans_of
from grove_core.parts.plans import READY, Gate, OnFailure, Plan, Wait, Weigh

TABLES = """
[rollouts.careful]
steps = [
    {gate = "reviewed"},
    {weight = 0.05, bake_seconds = 30},
    {pause_seconds = 60},
    {pause = true},
    {weight = 1.0, bake_seconds = 5},
]
judges = ["evidence", {use = "threshold", least = 3}]
objectives = [{name = "fun", at_least = 3}]
tick_ms = 4
on_failure = "pause"
progress_deadline_seconds = 300

[rollouts.slow]
use = "ramp"
weights = [0.1, 0.5]
bake_seconds = 300
warm_seconds = 3
"""


def told(tables: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidPlan) as caught:
        plans_of(tables)
    return caught.value.message.splitlines()


def test_a_plan_is_read_from_a_table() -> None:
    plans = plans_of(tomllib.loads(TABLES)["rollouts"])
    careful = plans["careful"]
    assert careful.steps == (Gate("reviewed"), Weigh(0.05, 30), Wait(60), Wait(), Weigh(1.0, 5))
    assert careful.judges == (Choice("evidence"), Choice("threshold", {"least": 3}))
    assert (careful.objectives, careful.tick_ms) == ((Objective("fun", at_least=3),), 4)
    assert (careful.on_failure, careful.progress_deadline_seconds) == (OnFailure.PAUSE, 300)
    assert (plans["slow"].name, plans["slow"].steps) == ("slow", (Weigh(0.1, 300), Weigh(0.5, 300)))
    assert plans["slow"].warm_seconds == 3
    assert plans.keys() == {*READY, "careful", "slow"}


def test_the_ready_made_plans() -> None:
    assert Plan.canary().steps == (Weigh(0.1, 30),)
    assert [step.weight for step in Plan.ramp().steps if isinstance(step, Weigh)] == [0.05, 0.1, 0.3, 1.0]
    assert [step.weight for step in Plan.rolling(4).steps if isinstance(step, Weigh)] == [0.25, 0.5, 0.75, 1.0]
    assert Plan.blue_green(5).steps == (Weigh(1.0, 5),)
    assert Plan.rolling(3).judged == 3


def test_every_mistake_is_said_at_once_with_its_path() -> None:
    lines = told(
        {
            "Bad": {},
            "x": 3,
            "a": {
                "steps": [
                    {"weight": 1.7},
                    {"weight": 0.5, "bake_seconds": 700},
                    {"weight": 0.2},
                    {"foo": 1},
                    {"gate": "A b"},
                    {"pause_seconds": -1},
                ],
                "on_failure": "explode",
                "tickms": 3,
                "judges": [3, "evidence", "evidence"],
                "objectives": [{"name": "errors", "at_least": 3}, {"name": "fun"}, {"nam": "fun"}],
                "warm_seconds": float("nan"),
            },
            "b": {"use": "nope"},
            "c": {"use": "rolling", "batches": 0},
            "d": {"use": "canary", "weigth": 3},
            "e": {},
            "f": {"use": "canary", "bake_seconds": "long"},
            "g": {"steps": []},
        }
    )
    assert [line.partition(":")[0] for line in lines] == [
        "rollouts.Bad",
        "rollouts.x",
        "rollouts.a.tickms",
        "rollouts.a.steps[3]",
        "rollouts.a.judges[0]",
        "rollouts.a.objectives[0]",
        "rollouts.a.objectives[1]",
        "rollouts.a.objectives[2]",
        "rollouts.a.steps[0].weight",
        "rollouts.a.steps[4].gate",
        "rollouts.a.steps[5].pause_seconds",
        "rollouts.a.steps[1].weight",
        "rollouts.a.steps[1].bake_seconds",
        "rollouts.a.steps[2].weight",
        "rollouts.a.warm_seconds",
        "rollouts.a.on_failure",
        "rollouts.a.judges[2]",
        "rollouts.b.use",
        "rollouts.c.batches",
        "rollouts.d.weigth",
        "rollouts.e.steps",
        "rollouts.f.steps[0].bake_seconds",
        "rollouts.g.steps",
    ]


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: Plan("p", ()), "steps"),
        (lambda: Plan("p", (Weigh(0.0),)), "steps[0].weight"),
        (lambda: Plan("p", (Weigh(True),)), "steps[0].weight"),
        (lambda: Plan("p", (Weigh(0.5), Weigh(0.4))), "steps[1].weight"),
        (lambda: Plan("p", ("10%",)), "steps[0]"),  # type: ignore[arg-type]
        (lambda: Plan.canary(tick_ms=0), "tick_ms"),
        (lambda: Plan.canary(judges=("evidence",)), "judges[0]"),
        (lambda: Plan.canary(progress_deadline_seconds=0), "progress_deadline_seconds"),
        (lambda: Plan.canary(objectives=tuple(Objective(f"v{n}", 1) for n in range(8))), "objectives"),
    ],
)
def test_a_plan_made_by_hand_is_held_to_the_same(make: Any, path: str) -> None:
    with pytest.raises(InvalidPlan) as caught:
        make()
    assert caught.value.message.startswith(f"{path}:")


def test_settings_have_plans_and_the_one_that_is_taken_without_a_name(tmp_path: Any) -> None:
    file = tmp_path / "grove.toml"
    file.write_text("[grove]\nrollout = 'careful'\n" + TABLES.replace("[rollouts.", "[grove.rollouts."), "utf-8")
    settings = Settings.read(file)
    assert settings.plans[settings.rollout].tick_ms == 4
    file.write_text("[grove]\nrollout = 'nope'\n", "utf-8")
    with pytest.raises(SettingsError, match="there is no plan 'nope'; there are: canary, ramp"):
        Settings.read(file)
    file.write_text("[grove.rollouts.a]\nsteps = [{weight = 2}]\n", "utf-8")
    with pytest.raises(SettingsError, match=r"grove.toml: rollouts.a.steps\[0\].weight: must be above 0"):
        Settings.read(file)
    assert Settings(rollouts={"mine": Plan.canary(0.2)}).plans["mine"].steps == (Weigh(0.2, 30.0),)


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["canary", "ramp"])
)
keys = st.sampled_from(
    ["use", "steps", "weight", "bake_seconds", "pause", "pause_seconds", "gate", "judges", "objectives", "name"]
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(st.one_of(st.just("a"), st.text(max_size=4)), values, max_size=3))
def test_whatever_a_table_holds_it_is_a_plan_or_a_clear_error(tables: dict[str, Any]) -> None:
    try:
        plans = plans_of(tables)
    except InvalidPlan as error:
        assert all(line.startswith("rollouts.") for line in error.message.split("\n"))
    else:
        assert all(isinstance(plan, Plan) for plan in plans.values())
