"""What a rollout keeps from being collected: where it may have to go back to."""

from __future__ import annotations

from collections.abc import Iterable

from grove_core.base.records import VersionUse
from grove_core.base.rollouts import RolloutState
from grove_core.rollouts.rollout import Rollout
from grove_core.runtime.state.context import Context


class Warm:
    """Holds the versions of rollouts, and for `warm_seconds` of a plan what was stable before a promotion."""

    def __init__(self, context: Context, rollouts: Iterable[Rollout]) -> None:
        self._context = context
        self._rollouts = rollouts

    def reason(self, use: VersionUse) -> str | None:
        """Return why the version must stay, or None."""
        for rollout in self._rollouts:
            for member in rollout.members:
                if member.module != use.module or use.version not in {member.canary, member.stable}:
                    continue
                if rollout.active:
                    return f"rollout {rollout.number} is {rollout.state}"
                kept = rollout.plan.warm_seconds - (self._context.clock.now() - rollout.ended_at)
                if rollout.state is RolloutState.PROMOTED and use.version == member.stable and kept > 0:
                    return f"it is kept warm after rollout {rollout.number}"
        return None
