"""The rollouts of one engine, and what the engine does with them."""

from __future__ import annotations

import time
from collections import deque

from packaging.version import Version

from grove_core.base.errors import RolloutActive, UnknownRollout
from grove_core.base.events import EventKind
from grove_core.base.records import TickReport
from grove_core.base.rollouts import RolloutAction
from grove_core.rollouts.advancing import advance
from grove_core.rollouts.course import Course
from grove_core.rollouts.rollout import Rollout, owner
from grove_core.rollouts.starting import Calls, refuse_owned
from grove_core.rollouts.warm import Warm
from grove_core.runtime.state.context import Context

REMEMBERED = 100
"""How many rollouts an engine remembers."""


class Roster:
    """Every rollout that is remembered, oldest first. All is called in the engine's turn.

    Args:
        context: the engine's parts; it gets a hold besides those of the settings.
        calls: what rollouts need of the engine.
    """

    def __init__(self, context: Context, calls: Calls) -> None:
        self.context, self.calls = context, calls
        self.course = Course(context, calls.state)
        self.rollouts: deque[Rollout] = deque(maxlen=REMEMBERED)
        self.number = 0
        """How many there were."""
        self.decision_ms: float | None = None
        """How long `after_tick` took the latest time; None before the first."""
        context.holds = {**context.holds, "rollouts": Warm(context, self.rollouts)}

    def add(self, rollout: Rollout) -> None:
        """Remember one that has begun; of those that ended the oldest is forgotten."""
        if len(self.rollouts) == REMEMBERED and (ended := next((r for r in self.rollouts if not r.active), None)):
            self.rollouts.remove(ended)
        self.number = rollout.number
        self.rollouts.append(rollout)

    def latest(self, module: str) -> Rollout:
        """Return the latest rollout of a module.

        Raises:
            UnknownRollout: there was none.
        """
        for rollout in reversed(self.rollouts):
            if rollout.is_of(module):
                return rollout
        raise UnknownRollout("no rollout of it was started; engine.rollouts.start does", module=str(module))

    def after_tick(self, report: TickReport, dt: float) -> None:
        """Take every rollout on after a tick; called with signals put off."""
        began = time.perf_counter()
        for rollout in self.rollouts:
            if rollout.active:
                advance(self.context, self.course, self.calls.there, rollout, report, dt)
        self.decision_ms = (time.perf_counter() - began) * 1000

    def stand_still(self) -> None:
        """Count none of the time since the last tick: nothing was ticked, because somebody wanted it so."""
        now = self.context.clock.now()
        for rollout in self.rollouts:
            rollout.seen_at = now

    def refuse_split(self, module: str) -> None:
        """Raise `RolloutActive` where a rollout owns a module's split."""
        refuse_owned(self.rollouts, module)

    def refuse_unload(self, module: str, version: Version) -> None:
        """Raise `RolloutActive` where a rollout needs a version."""
        active = owner(self.rollouts, module)
        if active is not None and any(
            member.module == module and version in {member.canary, member.stable} for member in active.members
        ):
            raise RolloutActive(
                f"rollout {active.number} needs it; end it first, such as by engine.rollouts.abort({module!r})",
                module=module,
                version=version,
            )

    def renamed(self, module: str, source: Version, target: Version) -> None:
        """Have rollouts that ended name a version as it is called now. To do it twice is to do it once."""
        for member in (each for rollout in self.rollouts for each in rollout.members if each.module == module):
            member.canary = target if member.canary == source else member.canary
            member.stable = target if member.stable == source else member.stable
            member.others = {target if one == source else one: weight for one, weight in member.others.items()}

    def rolled_back(self, module: str, target: Version) -> None:
        """End the rollout of a module that somebody rolled back."""
        if (active := owner(self.rollouts, module)) is not None:
            reason = f"somebody rolled {module} back to {target}"
            self.course.end(active, RolloutAction.ABORT, reason, EventKind.ROLLOUT_ABORTED, spared=module)
