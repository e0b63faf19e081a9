"""Steps of a rollout that are taken as a whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from packaging.version import Version

from grove_core.base.interrupts import put_off
from grove_core.rollouts.rollout import Rollout
from grove_core.runtime.rows.moves import settle
from grove_core.runtime.rows.split import set_split
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import ModuleState


class Standing:
    """What a rollout may change in one module, as it is now: weights, trust, what is watched."""

    def __init__(self, state: ModuleState) -> None:
        self._state = state
        self._weights, self._watch, self._judgements = dict(state.weights), state.watch, state.judgements
        self._stable, self._previous = state.stable, state.previous
        self.versions = frozenset(state.versions)
        """What was loaded."""

    def restore(self, context: Context) -> None:
        """Have it be so again; what had been decided is done before.

        Raises:
            GroveError: the split cannot be met any more.
        """
        state = self._state
        settle(state)
        if state.weights != self._weights:
            split(context, state, self._weights)
        state.stable, state.previous = self._stable, self._previous
        state.watch, state.judgements = self._watch, self._judgements


@contextmanager
def whole(context: Context, rollout: Rollout, states: Sequence[ModuleState]) -> Iterator[None]:
    """Leave a rollout and its modules as they were if anything is raised within.

    Raises:
        BaseException: what was raised.
    """
    standings = [Standing(state) for state in states]
    known = {**rollout.__dict__, "records": list(rollout.records), "gates": set(rollout.gates)}
    members = [dict(member.__dict__) for member in rollout.members]
    try:
        yield
    except BaseException:
        with put_off():
            rollout.__dict__.update(known)
            for member, before in zip(rollout.members, members, strict=True):
                member.__dict__.update(before)
            for standing in standings:
                standing.restore(context)
        raise


def split(context: Context, state: ModuleState, weights: Mapping[Version, float]) -> None:
    """Set the split of a module, by exact versions.

    Raises:
        GroveError: nothing moved.
    """
    set_split(context, state, {str(version): share for version, share in weights.items()})
