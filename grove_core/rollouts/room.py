"""`engine.rollouts`: what people and programs call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grove_core.base.errors import InvalidInput, InvalidPlan, WrongTransition
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.rollouts import RolloutAction, RolloutStatus
from grove_core.base.showing import brief
from grove_core.base.versions import Requirement
from grove_core.parts.plans import NAME, Gate, Plan
from grove_core.parts.plugins import PartKind
from grove_core.rollouts.rollout import Member, Rollout
from grove_core.rollouts.roster import Roster
from grove_core.rollouts.starting import again, canaries_of, refuse_owned
from grove_core.rollouts.telling import status_of
from grove_core.runtime.state.turns import Turns


class Rollouts:
    """Starts rollouts, and does with them what people say. All else they do by themselves, after each tick.

    Every call names a module; for a rollout of several, any of them. A call that fails leaves everything as it was.
    """

    def __init__(self, roster: Roster, turns: Turns) -> None:
        self._roster, self._turns = roster, turns
        self._context, self._calls, self._course = roster.context, roster.calls, roster.course

    @property
    def plans(self) -> dict[str, Plan]:
        """The plans that can be named: those of the settings, and the ready-made ones."""
        return self._context.settings.plans

    @property
    def decision_ms(self) -> float | None:
        """How long all rollouts took to decide after the latest tick, and to do what came of it; None before the first.

        `TickReport.ms` does not hold it.
        """
        return self._roster.decision_ms

    def start(
        self,
        module: str,
        version: Requirement,
        plan: str | Plan | None = None,
        *,
        path: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> RolloutStatus:
        """Begin to make a version stable: load it, if it is not, and give it the first weight of a plan.

        A version that was stable until lately (`rollback_window_seconds` of the plan) is promoted at once.

        Args:
            module: the module's name.
            version: the canary: a major number, an exact version, or a specifier.
            plan: by its name, or itself; None for the one that the settings say.
            path: where it is loaded from, as with `load_module_version`.
            config: what its `initialize` gets, if it is loaded.

        Raises:
            NotFound, InvalidInput, Refused, PackageError, WorkerError, PluginError: nothing has changed.
        """
        return self._start({module: version}, plan, path, config)

    def start_group(self, versions: Mapping[str, Requirement], plan: str | Plan | None = None) -> RolloutStatus:
        """Begin to make versions of several modules stable together: all of them, or none.

        They take each step in one tick, once the judges pass all of them; if one fails, all go back.

        Args:
            versions: module -> its canary.
            plan: see `start`.

        Raises:
            NotFound, InvalidInput, Refused, PackageError, WorkerError, PluginError: nothing has changed.
        """
        if not isinstance(versions, Mapping) or not versions:
            raise InvalidInput(f"give a version for at least one module, such as {{'game': 2}}, not {brief(versions)}")
        return self._start(versions, plan, None, None)

    def pause(self, module: str) -> RolloutStatus:
        """Stop where it is. Time does not count meanwhile; a canary that fails is rolled back all the same.

        Raises:
            UnknownRollout, WrongTransition: nothing has changed.
        """
        with self._turns.take("rollouts.pause"), put_off():
            rollout = self._roster.latest(module)
            rollout.go(RolloutAction.PAUSE, "somebody paused it")
            self._course.tell(rollout, EventKind.ROLLOUT_PAUSED)
            return self._status(rollout)

    def resume(self, module: str) -> RolloutStatus:
        """Go on after a pause, also after one of the plan.

        Where the judges could not tell, the step's time begins anew, and they go on counting; where they failed it,
        they begin anew as well.

        Raises:
            UnknownRollout, WrongTransition, GroveError: nothing has changed.
        """
        with self._turns.take("rollouts.resume"):
            rollout = self._roster.latest(module)
            self._course.resume(rollout)
            return self._status(rollout)

    def promote_step(self, module: str) -> RolloutStatus:
        """Take the next step now, whatever the judges say; after the last one the canary is stable.

        Raises:
            UnknownRollout, WrongTransition, GroveError: nothing has changed.
        """
        with self._turns.take("rollouts.promote_step"):
            rollout = self._roster.latest(module)
            action = RolloutAction.PROMOTE_STEP
            self._course.enter(rollout, rollout.step + 1, action, "somebody promoted it by a step")
            return self._status(rollout)

    def promote(self, module: str) -> RolloutStatus:
        """Make the canary stable now, without the steps that are left.

        Raises:
            UnknownRollout, WrongTransition, GroveError: nothing has changed.
        """
        with self._turns.take("rollouts.promote"):
            rollout = self._roster.latest(module)
            self._course.promote(rollout, "somebody promoted it")
            return self._status(rollout)

    def abort(self, module: str) -> RolloutStatus:
        """End it: every entity goes back to stable at once, and the canary into quarantine.

        Raises:
            UnknownRollout, WrongTransition: nothing has changed.
        """
        with self._turns.take("rollouts.abort"):
            rollout = self._roster.latest(module)
            self._course.end(rollout, RolloutAction.ABORT, "somebody aborted it", EventKind.ROLLOUT_ABORTED)
            return self._status(rollout)

    def retry(self, module: str) -> RolloutStatus:
        """Begin again, from the first step, with a canary that had failed, or was aborted or undone.

        Raises:
            UnknownRollout, WrongTransition, GroveError: nothing has changed.
        """
        with self._turns.take("rollouts.retry"):
            rollout = self._roster.latest(module)
            rollout.after(RolloutAction.RETRY)
            ready = again(self._context, self._calls, rollout, self._roster.rollouts)
            with ready, put_off(), self._course.whole(rollout):
                rollout.seen_at, rollout.gates = self._context.clock.now(), set()
                rollout.attempt += 1
                reason = "somebody retried it"
                self._course.enter(rollout, 0, RolloutAction.RETRY, reason, EventKind.ROLLOUT_STARTED)
            return self._status(rollout)

    def undo(self, module: str) -> RolloutStatus:
        """Take a promotion back: every entity returns to what was stable before, in one tick if that is still warm.

        Raises:
            UnknownRollout, WrongTransition: nothing has changed.
        """
        with self._turns.take("rollouts.undo"):
            rollout = self._roster.latest(module)
            rollout.after(RolloutAction.UNDO)
            for member in rollout.members:
                refuse_owned(self._roster.rollouts, member.module)
                stable = self._calls.state(member.module).stable
                if stable != member.canary:
                    raise WrongTransition(
                        f"it is not stable any more, {stable} is; there is nothing to undo",
                        module=member.module,
                        version=member.canary,
                    )
            self._course.end(rollout, RolloutAction.UNDO, "somebody undid it", EventKind.ROLLOUT_UNDONE)
            return self._status(rollout)

    def open_gate(self, module: str, gate: str) -> RolloutStatus:
        """Say that a rollout may pass a gate of its plan, now or when it comes there.

        Raises:
            UnknownRollout, WrongTransition, InvalidInput: nothing has changed.
        """
        with self._turns.take("rollouts.open_gate"), put_off():
            rollout = self._roster.latest(module)
            gates = [step.name for step in rollout.plan.steps if isinstance(step, Gate)]
            if gate not in gates:
                known = ", ".join(gates) or "none"
                raise InvalidInput(f"its plan {rollout.plan.name!r} has no gate {brief(gate)}; it has: {known}")
            rollout.after(RolloutAction.ABORT)  # one that has ended passes no gate
            if gate not in rollout.gates:
                rollout.gates.add(gate)
                self._course.tell(rollout, EventKind.GATE_OPENED, gate=gate)
            return self._status(rollout)

    def status(self, module: str) -> RolloutStatus:
        """Return the latest rollout of a module.

        Raises:
            UnknownRollout: there was none.
        """
        with self._turns.take("rollouts.status"):
            return self._status(self._roster.latest(module))

    def history(self, module: str | None = None) -> list[RolloutStatus]:
        """Return the latest 100 rollouts, of one module or of all, oldest first."""
        with self._turns.take("rollouts.history"):
            every = [each for each in self._roster.rollouts if module is None or each.is_of(module)]
            return [self._status(each) for each in every]

    def _start(
        self,
        versions: Mapping[str, Requirement],
        plan: str | Plan | None,
        path: str | None,
        config: Mapping[str, Any] | None,
    ) -> RolloutStatus:
        with self._turns.take("rollouts.start"):
            chosen = self._plan(plan)
            choices = self._context.settings.judges if chosen.judges is None else chosen.judges
            judges = self._context.catalogue.choose(PartKind.JUDGE, choices)
            with (
                canaries_of(self._context, self._calls, versions, self._roster.rollouts, path, config) as found,
                put_off(),
            ):
                now = self._context.clock.now()
                rollout = found.rollout = Rollout(self._roster.number + 1, chosen, found.members, judges, now, now)
                if reason := self._trusted(rollout):
                    self._course.promote(rollout, reason)
                else:
                    kind = EventKind.ROLLOUT_STARTED
                    self._course.enter(rollout, 0, RolloutAction.GO_ON, "it begins", kind)
                self._roster.add(rollout)
            return self._status(rollout)

    def _plan(self, plan: str | Plan | None) -> Plan:
        if isinstance(plan, Plan):
            if not (isinstance(plan.name, str) and NAME.fullmatch(plan.name)):
                raise InvalidPlan(f"name: must have small letters, digits, _ and -, not {brief(plan.name)}")
            return plan
        name, plans = self._context.settings.rollout if plan is None else plan, self.plans
        if name not in plans:
            raise InvalidPlan(f"there is no plan {brief(name)}; there are: {', '.join(plans)}")
        return plans[name]

    def _trusted(self, rollout: Rollout) -> str | None:
        """Return why a rollout needs no steps: its canaries were stable until lately. None if it needs them."""
        ago = [self._seconds_since(member) for member in rollout.members]
        window = rollout.plan.rollback_window_seconds
        if any(seconds is None or seconds >= window for seconds in ago):
            return None
        longest = max(seconds for seconds in ago if seconds is not None)
        return f"it was stable until {longest:.1f} s ago, within the rollback window of {window:g} s"

    def _seconds_since(self, member: Member) -> float | None:
        """Return how long ago a canary was stable, or None."""
        until = self._calls.state(member.module).trusted_until.get(member.canary)
        return None if until is None else self._context.clock.now() - until

    def _status(self, rollout: Rollout) -> RolloutStatus:
        return status_of(self._calls.state, rollout)
