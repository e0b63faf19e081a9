"""The course of a rollout: its steps, and its ends. Each is whole, or has not happened."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from grove_core.base.errors import UnknownModule, WrongTransition
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.rollouts import RolloutAction, RolloutState
from grove_core.parts.plans import Gate, Step, Wait, Weigh
from grove_core.rollouts.counting import Counting, Terms
from grove_core.rollouts.rollout import Member, Rollout
from grove_core.rollouts.weighing import send_back, weigh
from grove_core.rollouts.whole import whole
from grove_core.runtime.rows import watch
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import ModuleState

States = Callable[[str], ModuleState]
"""Gives a module's state, by its name."""


class Course:
    """Takes rollouts from step to step.

    Args:
        context: the engine's parts.
        states: gives a module's state, by its name; raises `UnknownModule`.
    """

    def __init__(self, context: Context, states: States) -> None:
        self._context = context
        self._states = states

    def tell(self, rollout: Rollout, kind: EventKind, **details: Any) -> None:
        """Log what happened to a rollout, once for each of its modules, with the evidence that it rests on."""
        evidence = rollout.evidence()
        for member in rollout.members:
            self._context.emit(
                kind,
                member.module,
                member.canary,
                rollout=rollout.number,
                plan=rollout.plan.name,
                stable=str(member.stable),
                state=rollout.state.value,
                step=rollout.step + 1,
                steps=len(rollout.plan.steps),
                attempt=rollout.attempt,
                reason=rollout.reason,
                evidence=evidence[member.module],
                **details,
            )

    @put_off()
    def enter(
        self,
        rollout: Rollout,
        index: int,
        action: RolloutAction,
        reason: str,
        kind: EventKind = EventKind.ROLLOUT_STEP,
    ) -> None:
        """Go to a step of the plan, and tell of it as `kind`; beyond the last one the canary is promoted.

        Raises:
            WrongTransition: `action` is not possible from where it is.
            GroveError: a split cannot be met; it is where it was.
        """
        rollout.after(action)
        steps = rollout.plan.steps
        while index < len(steps) and _is_open(steps[index], rollout):
            index += 1
        if index >= len(steps):
            self.promote(rollout, reason)
            return
        with self.whole(rollout):
            self._take(rollout, index, action, reason)
            self.tell(rollout, kind, **_told(steps[index]))
            if isinstance(steps[index], Weigh):  # what was said before it is told with it, and is past now
                for member in rollout.members:
                    member.judgements = {}

    def _take(self, rollout: Rollout, index: int, action: RolloutAction, reason: str) -> None:
        step = rollout.plan.steps[index]
        if action is RolloutAction.RETRY:
            for member in rollout.members:
                member.judgements = {}
        if isinstance(step, Weigh):
            weigh(self._context, self._states, rollout.members, step.weight)
            for member in rollout.members:
                said = member.judgements
                self.compare(rollout, member)
                member.judgements = said
        rollout.step, rollout.step_seconds, rollout.idle_seconds = index, 0.0, 0.0
        rollout.told_to_fail = rollout.bake_anew = False
        rollout.go(action, f"{reason}: {step}")
        if not isinstance(step, Weigh):
            rollout.go(RolloutAction.WAIT, rollout.reason)

    def whole(self, rollout: Rollout) -> AbstractContextManager[None]:
        """Leave all as it was if anything is raised within."""
        return whole(self._context, rollout, [self._states(member.module) for member in rollout.members])

    @put_off()
    def resume(self, rollout: Rollout) -> None:
        """Go on after a pause. Where judges could not tell, the step's time begins anew; where they failed it, all.

        Raises:
            WrongTransition, GroveError: it is where it was.
        """
        rollout.after(RolloutAction.RESUME)
        step = rollout.plan.steps[rollout.step]
        if rollout.state is RolloutState.WAITING:
            if isinstance(step, Gate):
                raise WrongTransition(
                    f"the rollout of {rollout.names} waits at the gate {step.name!r}: open it instead"
                )
            self.enter(rollout, rollout.step + 1, RolloutAction.GO_ON, "somebody resumed it")
            return
        if rollout.told_to_fail:
            for member in rollout.members:
                self.compare(rollout, member)
        if rollout.bake_anew:
            rollout.step_seconds = rollout.idle_seconds = 0.0
        rollout.told_to_fail = rollout.bake_anew = False
        rollout.go(RolloutAction.RESUME, "somebody resumed it")
        if not isinstance(step, Weigh):
            rollout.go(RolloutAction.WAIT, rollout.reason)
        self.tell(rollout, EventKind.ROLLOUT_RESUMED)

    def compare(self, rollout: Rollout, member: Member) -> None:
        """Begin to compare one canary with stable anew; with all weight in it there is nothing to hold it against."""
        state, plan = self._states(member.module), rollout.plan
        alone = state.weights.get(member.canary, 0.0) >= 1
        canary, stable = state.versions[member.canary], state.versions[member.stable]
        terms = Terms(plan.objectives, plan.tick_ms, plan.judged, alone)
        member.counting, member.judgements = Counting(self._context, state, canary, stable, terms), {}

    @put_off()
    def promote(self, rollout: Rollout, reason: str) -> None:
        """Give each canary all entities: it is stable.

        Raises:
            WrongTransition, GroveError: it is where it was.
        """
        with self.whole(rollout):
            rollout.state = rollout.after(RolloutAction.PROMOTE)
            weigh(self._context, self._states, rollout.members, 1.0)
            self._close(rollout, reason)
            self.tell(rollout, EventKind.ROLLOUT_PROMOTED)

    @put_off()
    def end(
        self, rollout: Rollout, action: RolloutAction, reason: str, kind: EventKind, spared: str | None = None
    ) -> None:
        """Send every entity of the canaries back, for good: it failed, was aborted or is undone.

        A module of a group that cannot go back keeps its entities where they are, and that is told with the event; so
        does one that is spared, because somebody moved them already.

        Raises:
            WrongTransition, GroveError: it is where it was; none can go back.
        """
        members = [each for each in rollout.members if each.module != spared]
        was = rollout.state
        try:
            rollout.state = rollout.after(action)  # first: it is over once anybody is back, whatever strikes
            moved, failures = self._send_back(members, reason)
        except BaseException:
            if members and not any(map(self._is_back, members)):
                rollout.state = was
            raise
        self._close(rollout, "; ".join([reason, *map(str, failures)]))
        self.tell(rollout, kind, entities=moved)

    def _send_back(self, members: Sequence[Member], reason: str) -> tuple[int, list[Exception]]:
        """Send the entities of canaries back; return how many that were, and why others could not go.

        Raises:
            Exception: none could.
        """
        moved, failures = 0, []
        for member in members:
            try:
                moved += send_back(self._context, self._states(member.module), member, reason)
            except Exception as error:  # what had been decided by then is done
                if not self._is_back(member):
                    failures.append(error)
        if failures and len(failures) == len(members):
            raise failures[0]
        return moved, failures

    def _is_back(self, member: Member) -> bool:
        """Tell whether a canary's entities were sent back, though something struck."""
        try:
            return member.canary in self._states(member.module).quarantined
        except UnknownModule:
            return True

    def _close(self, rollout: Rollout, reason: str) -> None:
        """Have one that is over watch nothing more."""
        rollout.reason, rollout.ended_at = reason, self._context.clock.now()
        rollout.note(rollout.ended_at)
        for member in rollout.members:
            member.counting = None
            with contextlib.suppress(UnknownModule):  # it was unloaded
                state = self._states(member.module)
                watch.end(state)
                state.judgements = {}


def _is_open(step: Step, rollout: Rollout) -> bool:
    """Tell whether a step is one that need not be waited for."""
    if isinstance(step, Gate):
        return step.name in rollout.gates
    return isinstance(step, Wait) and step.seconds == 0


def _told(step: Step) -> dict[str, Any]:
    return {"what": str(step), "weight": step.weight if isinstance(step, Weigh) else None}
