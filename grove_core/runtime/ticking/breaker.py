"""Versions that failed too often: they wait, are tried again with a small weight, and get back what they had."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from packaging.version import Version

from grove_core.base.errors import GroveError
from grove_core.base.events import EventKind
from grove_core.base.health import BreakerState, BreakerStatus
from grove_core.parts.contracts import Retry
from grove_core.runtime.loading.loading import load
from grove_core.runtime.rows.roles import release
from grove_core.runtime.rows.split import split_if_taken
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import Condition, ModuleState


def opened(
    context: Context, state: ModuleState, version: Version, retry: Retry | None, weight: float, reason: str
) -> None:
    """Note that a version was rolled back, and when it is tried again.

    Args:
        context: the engine's parts.
        state: the module.
        version: what was rolled back.
        retry: how it is tried again; None: not at all.
        weight: what it had.
        reason: why it was rolled back.
    """
    if retry is None:
        closed_by_hand(state, version)
        return
    before = state.breakers.get(version)
    attempts = 1 if before is None else before.attempts + 1
    until = context.clock.now() + retry.after_seconds * 2 ** (attempts - 1) if attempts < retry.attempts else None
    had = weight if before is None else before.weight
    state.retries[version] = retry
    state.breakers[version] = BreakerStatus(state.name, version, BreakerState.OPEN, until, attempts, had, reason)
    context.emit(EventKind.BREAKER_OPENED, state.name, version, reason=reason, until=until, attempts=attempts)


def closed_by_hand(state: ModuleState, version: Version) -> None:
    """Forget that a version failed: somebody loaded it."""
    state.breakers.pop(version, None)
    state.retries.pop(version, None)


def split_by_hand(context: Context, state: ModuleState) -> None:
    """Take a split that somebody set for their word: what is on trial is so no more, and nothing is given back."""
    for version, status in list(state.breakers.items()):
        if status.state is BreakerState.HALF_OPEN:
            _close(context, state, version)
        else:
            state.breakers[version] = replace(status, weight=None)


def step(context: Context, state: ModuleState) -> None:
    """Try versions again whose time has come, and end the trials that were passed."""
    if not state.breakers or state.condition is not Condition.RUNNING:
        return
    for version, status in list(state.breakers.items()):
        if status.state is BreakerState.OPEN:
            if status.until is not None and status.until <= context.clock.now():
                _try_again(context, state, status)
        elif version not in state.versions:  # somebody took it away while it was on trial
            closed_by_hand(state, version)
        elif state.versions[version].meter.health.streak >= state.retries[version].ticks:
            _pass(context, state, status)


def _try_again(context: Context, state: ModuleState, status: BreakerStatus) -> None:
    """Load a version, and give it its trial weight from stable's share."""
    version, retry = status.version, state.retries[status.version]
    loaded_now = version not in state.versions
    least = max(retry.weight, 1 / max(1, state.population))  # less would be nobody
    weight = least if status.weight is None else min(least, status.weight)
    try:
        if loaded_now:
            record, config = state.descriptions[version].record, state.configs.get(version, {})
            load(context, state, record, config, limits=state.limits.get(version))
        if weight > 0:
            _give(context, state, version, weight)
    except GroveError as error:
        opened(context, state, version, retry, 0.0, f"it could not be tried again: {error.message}")
        return
    if weight == 0:  # it had no work, and there is none to try it with
        _close(context, state, version)
        return
    state.breakers[version] = replace(status, state=BreakerState.HALF_OPEN, until=None)
    context.emit(EventKind.BREAKER_HALF_OPENED, state.name, version, weight=weight, attempts=status.attempts)


def _pass(context: Context, state: ModuleState, status: BreakerStatus) -> None:
    """End a trial that was passed, and give the version what it had."""
    missing = 0.0 if status.weight is None else status.weight - state.weights.get(status.version, 0.0)
    if missing > 0:
        with contextlib.suppress(GroveError):  # then it keeps its trial weight; a split by hand can say more
            _give(context, state, status.version, missing)
    _close(context, state, status.version)


def _close(context: Context, state: ModuleState, version: Version) -> None:
    closed_by_hand(state, version)
    release(context, state, version)
    context.emit(EventKind.BREAKER_CLOSED, state.name, version, weight=state.weights.get(version, 0.0))


def _give(context: Context, state: ModuleState, version: Version, weight: float) -> None:
    """Move weight from stable to a version, as much as stable has.

    Raises:
        GroveError: nothing moved.
    """
    stable = state.stable_version.version
    if stable == version:
        return
    weights = {one: share for one, share in state.weights.items() if share > 0}
    given = min(weight, weights.get(stable, 0.0))
    weights[stable] = weights.get(stable, 0.0) - given
    weights[version] = weights.get(version, 0.0) + given
    split_if_taken(context, state, {str(one): share for one, share in weights.items()})
