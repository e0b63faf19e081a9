"""Plans of rollouts: their steps, and the ready-made ones. What is wrong with one is said at once, with its path."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from grove_core.base.comparison import OBJECTIVES, Objective
from grove_core.base.errors import InvalidPlan
from grove_core.base.showing import brief
from grove_core.parts.choice import Choice

NAME = re.compile(r"[a-z][a-z0-9_-]*")
LONGEST_SECONDS = 1e9
MOST_STEPS = 1000


@dataclass(frozen=True)
class Weigh:
    """Give the canary a weight, and watch it for some time."""

    weight: float
    """Its share, above 0 and at most 1."""
    bake_seconds: float = 0.0
    """By the clock: so long at least, and then all judges must pass."""

    def __str__(self) -> str:
        return f"{100 * self.weight:.6g}% for {self.bake_seconds:g} s"


@dataclass(frozen=True)
class Wait:
    """Wait for a person, or for some time; the canary is watched meanwhile."""

    seconds: float | None = None
    """None: until somebody resumes it."""

    def __str__(self) -> str:
        return "wait until it is resumed" if self.seconds is None else f"wait {self.seconds:g} s"


@dataclass(frozen=True)
class Gate:
    """Wait until `open_gate` is called with this name; the canary is watched meanwhile."""

    name: str

    def __str__(self) -> str:
        return f"gate {self.name}"


Step = Weigh | Wait | Gate


class OnFailure(StrEnum):
    """What a canary that fails does to its rollout."""

    ROLL_BACK = "rollback"
    """Every entity goes back to stable at once, and the canary into quarantine."""
    PAUSE = "pause"
    """It waits for a person, as it is."""


@dataclass(frozen=True)
class Plan:
    """How a canary becomes stable.

    After the last step it is promoted: it gets all entities, and what was stable is previous.

    Raises:
        InvalidPlan: it cannot be carried out; with every mistake and its path.
    """

    name: str
    steps: tuple[Step, ...]
    judges: tuple[Choice, ...] | None = None
    """None: those of the settings."""
    tick_ms: float | None = None
    """The latency objective: a tick that takes longer is late. None: its own dt, so that a second takes a second."""
    objectives: tuple[Objective, ...] = ()
    """For observed values: one that misses its objective counts as an error does."""
    progress_deadline_seconds: float = 600.0
    """By the clock: so long without a step it fails; what a pause or a `Wait` takes is left out."""
    on_failure: OnFailure = OnFailure.ROLL_BACK
    rollback_window_seconds: float = 3600.0
    """A version that was stable less long ago returns at once, without steps; 0: none does."""
    warm_seconds: float = 600.0
    """How long what was stable is kept loaded after the promotion, so that `undo` takes one tick."""

    def __post_init__(self) -> None:
        if mistakes := list(_mistakes(self)):
            raise InvalidPlan("\n".join(mistakes))

    @classmethod
    def canary(cls, weight: float = 0.1, bake_seconds: float = 30.0, **options: Any) -> Plan:
        """Return the plan for one step: a part of the entities for some time, then all."""
        return cls("canary", (Weigh(weight, bake_seconds),), **options)

    @classmethod
    def ramp(cls, weights: Sequence[float] = (0.05, 0.1, 0.3, 1.0), bake_seconds: float = 30.0, **options: Any) -> Plan:
        """Return the plan for several steps: by default 5, 10, 30 and 100%."""
        return cls("ramp", tuple(Weigh(weight, bake_seconds) for weight in weights), **options)

    @classmethod
    def rolling(cls, batches: int = 10, bake_seconds: float = 10.0, **options: Any) -> Plan:
        """Return the plan for so many equal steps."""
        if isinstance(batches, bool) or not isinstance(batches, int) or not 1 <= batches <= MOST_STEPS:
            raise InvalidPlan(f"batches: must be a whole number from 1 to {MOST_STEPS}, not {brief(batches)}")
        return cls("rolling", tuple(Weigh((n + 1) / batches, bake_seconds) for n in range(batches)), **options)

    @classmethod
    def blue_green(cls, bake_seconds: float = 30.0, **options: Any) -> Plan:
        """Return the plan to switch all entities at once; the former version stays warm, one tick away."""
        return cls("blue_green", (Weigh(1.0, bake_seconds),), **options)

    @property
    def judged(self) -> int:
        """How many comparisons it makes: over so many judges share out their probability to be wrong."""
        return max(1, sum(isinstance(step, Weigh) for step in self.steps))


READY: Mapping[str, Callable[..., Plan]] = {
    "canary": Plan.canary,
    "ramp": Plan.ramp,
    "rolling": Plan.rolling,
    "blue_green": Plan.blue_green,
}
"""The ready-made plans."""


def _mistakes(plan: Plan) -> Iterator[str]:
    if not plan.steps:
        yield "steps: there is none; the least is one {weight = 0.1, bake_seconds = 30}"
    if len(plan.steps) > MOST_STEPS:
        yield f"steps: there are {len(plan.steps)}; {MOST_STEPS} are the most"
    for index, step in enumerate(plan.steps):
        yield from (f"steps[{index}]{line}" for line in _step_mistakes(step))
    yield from _course_mistakes(plan)
    for name in ("progress_deadline_seconds", "rollback_window_seconds", "warm_seconds"):
        value, must_move = getattr(plan, name), name.startswith("progress")
        if not (is_number(value) and 0 <= value <= LONGEST_SECONDS and (value > 0 or not must_move)):
            least = "above 0" if must_move else "at least 0"
            yield f"{name}: must be a number of seconds, {least}, not {brief(value)}"
    if plan.tick_ms is not None and not (is_number(plan.tick_ms) and plan.tick_ms > 0):
        yield f"tick_ms: must be a number of milliseconds above 0, not {brief(plan.tick_ms)}"
    if plan.on_failure not in set(OnFailure):
        yield f"on_failure: must be {' or '.join(repr(str(each)) for each in OnFailure)}, not {brief(plan.on_failure)}"
    yield from _judge_mistakes(plan.judges)
    yield from _objective_mistakes(plan.objectives)


def _course_mistakes(plan: Plan) -> Iterator[str]:
    """Yield what is wrong with the weights one after the other."""
    highest, deadline = 0.0, plan.progress_deadline_seconds
    for index, step in enumerate(plan.steps):
        if not isinstance(step, Weigh) or not is_number(step.weight):
            continue
        path = f"steps[{index}]"
        if highest >= 1:
            yield f"{path}.weight: a step before it gave all to the canary; nothing is left to give"
        elif step.weight < highest:
            yield f"{path}.weight: {step.weight:g} is less than {highest:g} before it; a rollout does not go back"
        highest = max(highest, step.weight)
        if is_number(step.bake_seconds) and is_number(deadline) and step.bake_seconds >= deadline > 0:
            yield (
                f"{path}.bake_seconds: {step.bake_seconds:g} s are not less than progress_deadline_seconds "
                f"({deadline:g} s), so it could never go on"
            )


def _step_mistakes(step: Any) -> Iterator[str]:
    if isinstance(step, Weigh):
        if not (is_number(step.weight) and 0 < step.weight <= 1):
            yield f".weight: must be above 0 and at most 1, not {brief(step.weight)}"
        if not (is_number(step.bake_seconds) and 0 <= step.bake_seconds <= LONGEST_SECONDS):
            yield f".bake_seconds: must be a number of seconds, at least 0, not {brief(step.bake_seconds)}"
    elif isinstance(step, Wait):
        if step.seconds is not None and not (is_number(step.seconds) and 0 <= step.seconds <= LONGEST_SECONDS):
            yield f".pause_seconds: must be a number of seconds, at least 0, not {brief(step.seconds)}"
    elif isinstance(step, Gate):
        if not (isinstance(step.name, str) and NAME.fullmatch(step.name)):
            yield f".gate: must be a name of small letters, digits, _ and -, not {brief(step.name)}"
    else:
        yield f": must be a Weigh, a Wait or a Gate, not {brief(step)}"


def _judge_mistakes(judges: Iterable[Any] | None) -> Iterator[str]:
    seen: set[str] = set()
    for index, choice in enumerate(judges or ()):
        if not isinstance(choice, Choice):
            yield f"judges[{index}]: must be a Choice, not {brief(choice)}"
        elif choice.use in seen:
            yield f"judges[{index}]: {choice.use!r} is there already"
        else:
            seen.add(choice.use)


def _objective_mistakes(objectives: Sequence[Any]) -> Iterator[str]:
    if len(objectives) > OBJECTIVES:
        yield f"objectives: there are {len(objectives)}; {OBJECTIVES} are the most"
    seen: set[str] = set()
    for index, each in enumerate(objectives):
        if not isinstance(each, Objective):
            yield f"objectives[{index}]: must be an Objective, not {brief(each)}"
        elif each.name in seen:
            yield f"objectives[{index}].name: {each.name!r} is there already"
        else:
            seen.add(each.name)


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
