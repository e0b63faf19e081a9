"""What becomes of a rollout after a tick: it is counted, judged, and goes on, waits, or ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.errors import GroveError
from grove_core.base.events import EventKind
from grove_core.base.records import Fault, TickReport
from grove_core.base.rollouts import RolloutAction, RolloutState
from grove_core.parts.plans import Gate, OnFailure, Step, Wait, Weigh
from grove_core.rollouts.counting import SLACK
from grove_core.rollouts.course import Course
from grove_core.rollouts.judged import ask, worst
from grove_core.rollouts.rollout import Member, Rollout
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import Condition, ModuleState


def advance(
    context: Context,
    course: Course,
    there: Callable[[str], ModuleState | None],
    rollout: Rollout,
    report: TickReport,
    dt: float,
) -> None:
    """Take one rollout on after a tick. What it cannot do makes it pause."""
    now = context.clock.now()
    elapsed, rollout.seen_at = now - rollout.seen_at, now
    try:
        found: list[tuple[Member, ModuleState]] = []
        for member in rollout.members:
            state = there(member.module)
            if state is None or not _stands(state, member):
                if state is None or _is_lost(state, member):
                    reason = _why_lost(member, report.faults)
                    course.end(rollout, RolloutAction.FAIL, reason, EventKind.ROLLOUT_FAILED)
                    return
                _follow(course, rollout, state, member)
            found.append((member, state))
        if any(state.condition is not Condition.RUNNING for _, state in found):
            return  # nothing is ticked, so nothing can be told
        _judge(context, rollout, found, report.number, dt, elapsed)
        _go_on(course, rollout, elapsed)
    except (GroveError, MemoryError) as error:  # the tick is done, and told of as such
        if rollout.active and rollout.state is not RolloutState.PAUSED:
            rollout.go(RolloutAction.PAUSE, f"it could not go on: {error}")
            course.tell(rollout, EventKind.ROLLOUT_PAUSED)


def _stands(state: ModuleState, member: Member) -> bool:
    """Tell whether nothing has changed that a comparison rests on: the common case, to be told quickly."""
    counting = member.counting
    return (
        counting is not None
        and not state.quarantined
        and state.stable in (member.stable, member.canary)
        and state.versions.get(member.canary) is counting.canary
        and state.versions.get(member.stable) is counting.stable
    )


def _is_lost(state: ModuleState, member: Member) -> bool:
    return member.canary not in state.versions or member.canary in state.quarantined


def _why_lost(member: Member, faults: Sequence[Fault]) -> str:
    """Say what ended a canary: a fault of this tick, or somebody."""
    canary = f"{member.module}@{member.canary}"
    for fault in faults:
        if (fault.module, fault.version) == (member.module, member.canary):
            return f"{canary}: {fault.message}"
    return f"{canary} was rolled back or unloaded"


def _follow(course: Course, rollout: Rollout, state: ModuleState, member: Member) -> None:
    """Hold a canary against what is stable now: stable itself may have failed, and another taken over."""
    stable = state.stable
    if stable is not None and stable not in (member.stable, member.canary):
        member.stable = stable
    elif not _is_stale(state, member):
        return
    if member.counting is not None and member.stable in state.versions:
        course.compare(rollout, member)
        course.tell(rollout, EventKind.ROLLOUT_REBASED)


def _is_stale(state: ModuleState, member: Member) -> bool:
    """Tell whether one of the two was loaded anew since the comparison began."""
    counting = member.counting
    return counting is not None and not (
        state.versions.get(member.canary) is counting.canary and state.versions.get(member.stable) is counting.stable
    )


def _judge(
    context: Context,
    rollout: Rollout,
    found: Sequence[tuple[Member, ModuleState]],
    number: int,
    dt: float,
    elapsed: float,
) -> None:
    """Count, and ask the judges where something failed, when a step is over, and else once a second: it costs more."""
    over = rollout.step >= 0 and _is_over(rollout.plan.steps[rollout.step], rollout, elapsed)
    for member, state in found:
        counting = member.counting
        if counting is not None and (counting.count(number, dt) or over or counting.is_due()):
            member.judgements = ask(context, rollout.judges, counting.comparison())
            state.judgements = member.judgements


def _go_on(course: Course, rollout: Rollout, elapsed: float) -> None:
    said = worst(one for member in rollout.members for one in member.judgements.values())
    if said.verdict is Verdict.FAIL and rollout.step >= 0 and _fail(course, rollout, said.reason):
        return
    if rollout.state is RolloutState.PAUSED:
        return
    step = rollout.plan.steps[rollout.step]
    rollout.step_seconds += elapsed
    if not isinstance(step, Wait):
        rollout.idle_seconds += elapsed
    if _is_over(step, rollout):
        _decide(course, rollout, step, said)
    elif rollout.idle_seconds > rollout.plan.progress_deadline_seconds:
        limit = rollout.plan.progress_deadline_seconds
        _fail(course, rollout, f"no step was taken for more than {limit:g} s (progress_deadline_seconds)")


def _decide(course: Course, rollout: Rollout, step: Step, said: Judgement) -> None:
    """Take the next step, if all judges pass; else wait for a person."""
    must_pass = isinstance(step, Weigh) and step.bake_seconds > 0
    if must_pass and said.verdict is not Verdict.PASS:
        rollout.bake_anew = True
        rollout.go(RolloutAction.PAUSE, f"the judges could not tell: {said.reason}")
        course.tell(rollout, EventKind.ROLLOUT_PAUSED)
        return
    why = said.reason if must_pass else f"{step} is over"
    course.enter(rollout, rollout.step + 1, RolloutAction.GO_ON, why)


def _is_over(step: Step, rollout: Rollout, elapsed: float = 0.0) -> bool:
    """Tell whether a step is over, once so many seconds are added."""
    seconds = rollout.step_seconds + elapsed + SLACK
    if isinstance(step, Weigh):
        return seconds >= step.bake_seconds
    if isinstance(step, Gate):
        return step.name in rollout.gates
    return step.seconds is not None and seconds >= step.seconds


def _fail(course: Course, rollout: Rollout, reason: str) -> bool:
    """Do what the plan says of a failure; tell whether anything was done."""
    if rollout.plan.on_failure is OnFailure.ROLL_BACK:
        course.end(rollout, RolloutAction.FAIL, reason, EventKind.ROLLOUT_FAILED)
        return True
    if rollout.told_to_fail:
        return False
    rollout.told_to_fail = rollout.bake_anew = True
    if rollout.state is not RolloutState.PAUSED:
        rollout.go(RolloutAction.PAUSE, f"it failed, and its plan says to pause: {reason}")
    course.tell(rollout, EventKind.ROLLOUT_PAUSED)
    return True
