"""Where a rollout can be, how it gets from there to elsewhere, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from packaging.version import Version

from grove_core.base.comparison import Judgement, Verdict


class RolloutState(StrEnum):
    """Where a rollout is."""

    RUNNING = "running"
    """Its canary has a weight, and is watched."""
    WAITING = "waiting"
    """At a pause or a gate of its plan; the canary is watched."""
    PAUSED = "paused"
    """Somebody paused it, or the judges could not tell; the canary is watched."""
    PROMOTED = "promoted"
    """The canary is stable."""
    FAILED = "failed"
    """Its canary was rolled back by itself."""
    ABORTED = "aborted"
    """Somebody ended it, and its canary was rolled back."""
    UNDONE = "undone"
    """It was promoted, and somebody went back."""

    @property
    def ended(self) -> bool:
        """Whether it owns no split any more."""
        return self not in {RolloutState.RUNNING, RolloutState.WAITING, RolloutState.PAUSED}


class RolloutAction(StrEnum):
    """What can be done to a rollout, by people or by itself."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE_STEP = "promote_step"
    PROMOTE = "promote"
    ABORT = "abort"
    RETRY = "retry"
    UNDO = "undo"
    WAIT = "wait"
    """It comes to a pause or a gate of its plan."""
    GO_ON = "go_on"
    """It takes its next step."""
    FAIL = "fail"
    """A judge, a fault or its deadline ends it."""


BY_ITSELF = frozenset({RolloutAction.WAIT, RolloutAction.GO_ON, RolloutAction.FAIL})
"""The actions that nobody can call for."""

_AWAY = {
    RolloutAction.PROMOTE_STEP: RolloutState.RUNNING,
    RolloutAction.PROMOTE: RolloutState.PROMOTED,
    RolloutAction.ABORT: RolloutState.ABORTED,
    RolloutAction.FAIL: RolloutState.FAILED,
    RolloutAction.WAIT: RolloutState.WAITING,
}
_ENDED = {RolloutAction.RETRY: RolloutState.RUNNING}

TRANSITIONS: Mapping[RolloutState, Mapping[RolloutAction, RolloutState]] = {
    RolloutState.RUNNING: {
        **_AWAY,
        RolloutAction.PAUSE: RolloutState.PAUSED,
        RolloutAction.GO_ON: RolloutState.RUNNING,
    },
    RolloutState.WAITING: {
        **_AWAY,
        RolloutAction.PAUSE: RolloutState.PAUSED,
        RolloutAction.RESUME: RolloutState.RUNNING,
        RolloutAction.GO_ON: RolloutState.RUNNING,
    },
    RolloutState.PAUSED: {**_AWAY, RolloutAction.RESUME: RolloutState.RUNNING},
    RolloutState.PROMOTED: {RolloutAction.UNDO: RolloutState.UNDONE},
    RolloutState.FAILED: _ENDED,
    RolloutState.ABORTED: _ENDED,
    RolloutState.UNDONE: _ENDED,
}
"""From where, by which action, to where. What is not here is refused."""


def allowed(state: RolloutState) -> list[RolloutAction]:
    """Return what people can call for in this state."""
    return [action for action in TRANSITIONS[state] if action not in BY_ITSELF]


@dataclass(frozen=True)
class StepRecord:
    """One thing that happened to a rollout."""

    at: float
    """The clock's time."""
    state: RolloutState
    """Where it was afterwards."""
    step: int
    """The number of the plan's step, from 1 on; 0 before the first."""
    what: str
    """A sentence for people."""
    judgements: Mapping[str, Mapping[str, Judgement]] = field(default_factory=dict)
    """What the judges said then: module -> judge -> judgement."""


@dataclass(frozen=True)
class MemberStatus:
    """One module of a rollout."""

    module: str
    canary: Version
    stable: Version
    """Where entities go back to."""
    weight: float
    """The canary's, now."""
    entities: int
    """How many the canary has."""
    judgements: Mapping[str, Judgement]
    """What the judges make of it, the latest."""

    @property
    def verdict(self) -> Verdict | None:
        """The worst of the judges' verdicts; None before the first."""
        return max((each.verdict for each in self.judgements.values()), key=lambda v: v.badness, default=None)


@dataclass(frozen=True)
class RolloutStatus:
    """A rollout, as it is now. `print` it to read it as sentences."""

    number: int
    """Counts the rollouts of an engine, from 1 on."""
    plan: str
    state: RolloutState
    step: int
    """The number of the plan's step, from 1 on; 0 before the first."""
    steps: tuple[str, ...]
    """The plan's steps, in words."""
    members: tuple[MemberStatus, ...]
    """One, or those of a group."""
    attempt: int
    """1, and one more with each retry."""
    reason: str
    """Why it is where it is."""
    started_at: float
    step_seconds: float
    """How long the step lasts by now, pauses left out."""
    actions: tuple[RolloutAction, ...]
    """What can be called for now."""
    records: tuple[StepRecord, ...]
    """What happened so far."""

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        names = ", ".join(f"{each.module} {each.stable} -> {each.canary}" for each in self.members)
        again = f", attempt {self.attempt}" if self.attempt > 1 else ""
        yield f"Rollout {self.number} of {names} by the plan {self.plan} is {self.state}{again}: {self.reason}."
        if self.step and not self.state.ended:
            yield f"Step {self.step} of {len(self.steps)} ({self.steps[self.step - 1]}), for {self.step_seconds:.1f} s."
        for each in self.members:
            yield f"{each.module} {each.canary} has the weight {each.weight:g} and {each.entities:,} entities."
            yield from (f"  {name}: {one.verdict}: {one.reason}" for name, one in each.judgements.items())
        yield f"It can be: {', '.join(self.actions) or 'left alone'}."
