"""A rollout as people are told of it."""

from __future__ import annotations

from collections.abc import Callable

from grove_core.base.errors import UnknownModule
from grove_core.base.rollouts import MemberStatus, RolloutStatus, allowed
from grove_core.rollouts.rollout import Member, Rollout
from grove_core.runtime.state.state import ModuleState


def status_of(states: Callable[[str], ModuleState], rollout: Rollout) -> RolloutStatus:
    """Return a rollout as it is now."""
    return RolloutStatus(
        rollout.number,
        rollout.plan.name,
        rollout.state,
        rollout.step + 1,
        tuple(str(step) for step in rollout.plan.steps),
        tuple(_member(states, member) for member in rollout.members),
        rollout.attempt,
        rollout.reason,
        rollout.started_at,
        rollout.step_seconds,
        tuple(allowed(rollout.state)),
        tuple(rollout.records),
    )


def _member(states: Callable[[str], ModuleState], member: Member) -> MemberStatus:
    weight, entities = 0.0, 0
    try:
        state = states(member.module)
    except UnknownModule:  # it was unloaded since
        pass
    else:
        weight = state.weights.get(member.canary, 0.0)
        loaded = state.versions.get(member.canary)
        entities = 0 if loaded is None else loaded.count
    return MemberStatus(member.module, member.canary, member.stable, weight, entities, dict(member.judgements))
