"""What a rollout does to its modules: it gives canaries weight, and takes it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from packaging.version import Version

from grove_core.base.errors import GroveError
from grove_core.base.events import EventKind
from grove_core.base.records import MoveCause
from grove_core.rollouts.rollout import Member
from grove_core.rollouts.whole import split
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import refuse_as_stable
from grove_core.runtime.state.state import ModuleState
from grove_core.runtime.ticking.rollback import go_back

States = Callable[[str], ModuleState]
"""Gives a module's state, by its name."""


def others_of(state: ModuleState, canary: Version) -> dict[Version, float]:
    """Return how the weight that a canary has not is shared by the other versions: their sum is 1, or there is none."""
    there = {version: weight for version, weight in state.weights.items() if version != canary and weight > 0}
    total = sum(there.values())
    return {version: weight / total for version, weight in there.items()}


def weigh(context: Context, states: States, members: Sequence[Member], weight: float) -> None:
    """Give each canary a weight; the others keep their proportions.

    Raises:
        RequirementBroken: what is in use of another module does not take what would become stable; nothing moved.
        GroveError: one split cannot be met; those before it are, so this is to be called as a part of a `whole`.
    """
    if weight >= 1:
        together = {member.module: member.canary for member in members}
        for member in members:
            refuse_as_stable(context.modules, states(member.module), member.canary, together)
    for member in members:
        state = states(member.module)
        member.others = others_of(state, member.canary) or member.others
        wanted = shares(member, weight)
        if wanted != {version: share for version, share in state.weights.items() if share > 0}:
            split(context, state, wanted)


def shares(member: Member, weight: float) -> dict[Version, float]:
    """Return the weights of a module whose canary has `weight`."""
    if weight >= 1:
        return {member.canary: 1.0}
    given = {version: share * (1 - weight) for version, share in member.others.items()}
    return {**given, member.canary: weight} if weight > 0 else given


def send_back(context: Context, state: ModuleState, member: Member, reason: str) -> int:
    """Move every entity of a canary to stable, and put the canary into quarantine; return how many moved.

    What other versions had, they have again.

    Raises:
        GroveError: nothing moved.
    """
    canary, entities = state.versions.get(member.canary), 0
    if canary is not None:
        entities = canary.count
        go_back(context, state, [canary], member.stable, None, MoveCause.ROLLOUT, 0.0, reason)
    if len(member.others) > 1 and member.others.keys() <= state.versions.keys():
        try:
            split(context, state, member.others)
        except GroveError as error:  # they are where they are safe; only the proportions are not what they were
            context.emit(EventKind.ROLLED_BACK, state.name, member.stable, entities=entities, error=str(error))
    return entities
