"""One rollout: where it is, and what it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from packaging.version import Version

from grove_core.base.comparison import Judgement
from grove_core.base.errors import WrongTransition
from grove_core.base.rollouts import TRANSITIONS, RolloutAction, RolloutState, StepRecord, allowed
from grove_core.parts.contracts import Judge
from grove_core.parts.plans import Plan
from grove_core.parts.plugins import Chosen
from grove_core.rollouts.counting import Counting

RECORDS = 1000
"""How much of what happened is remembered."""


@dataclass
class Member:
    """One module of a rollout."""

    module: str
    canary: Version
    stable: Version
    """Where entities go back to."""
    others: dict[Version, float]
    """What the versions besides the canary had, the latest time they had any; their sum is 1."""
    counting: Counting | None = None
    judgements: dict[str, Judgement] = field(default_factory=dict)
    """What the judges make of it, the latest."""


@dataclass
class Rollout:
    """One attempt from stable to canary, of one module or of several together."""

    number: int
    plan: Plan
    members: list[Member]
    judges: list[Chosen[Judge]]
    started_at: float
    seen_at: float
    """The clock's time of the latest tick."""
    state: RolloutState = RolloutState.RUNNING
    step: int = -1
    """Index of the plan's step; -1 before the first."""
    step_seconds: float = 0.0
    """How long the step lasts, pauses left out."""
    idle_seconds: float = 0.0
    """How long it has made no progress, pauses left out."""
    reason: str = "it begins"
    attempt: int = 1
    ended_at: float = 0.0
    bake_anew: bool = False
    """Whether it was paused because of what the judges said: then the step's time begins anew."""
    told_to_fail: bool = False
    """Whether a judge failed it in this step, and its plan says to pause then."""
    gates: set[str] = field(default_factory=set)
    """Those that are open."""
    records: list[StepRecord] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Whether it owns the split of its modules."""
        return not self.state.ended

    @property
    def names(self) -> str:
        """Its modules and versions, for a message."""
        return ", ".join(f"{each.module}@{each.canary}" for each in self.members)

    def is_of(self, module: str) -> bool:
        """Tell whether a module takes part in it."""
        return any(member.module == module for member in self.members)

    def after(self, action: RolloutAction) -> RolloutState:
        """Return where an action leads from here.

        Raises:
            WrongTransition: nowhere; the message has what is allowed.
        """
        there = TRANSITIONS[self.state].get(action)
        if there is None:
            can = ", ".join(allowed(self.state))
            raise WrongTransition(
                f"the rollout of {self.names} is {self.state}: {action} is not possible now; {can} is"
            )
        return there

    def go(self, action: RolloutAction, reason: str) -> None:
        """Be where an action leads, for a reason."""
        self.state = self.after(action)
        self.reason = reason
        self.note(self.seen_at)

    def note(self, at: float) -> None:
        """Write down where it is."""
        judgements = {each.module: dict(each.judgements) for each in self.members if each.judgements}
        self.records.append(StepRecord(at, self.state, self.step + 1, self.reason, judgements))
        del self.records[:-RECORDS]

    def evidence(self) -> dict[str, dict[str, dict[str, object]]]:
        """Return what the judges said last, for an event: module -> judge -> verdict, reason and figures."""
        return {
            each.module: {
                name: {"verdict": one.verdict.value, "reason": one.reason, **one.evidence}
                for name, one in each.judgements.items()
            }
            for each in self.members
        }


def owner(rollouts: Sequence[Rollout], module: str) -> Rollout | None:
    """Return the rollout that owns a module's split, if one does."""
    return next((each for each in rollouts if each.active and each.is_of(module)), None)
