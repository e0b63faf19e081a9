"""How a rollout begins: its canaries are found and loaded, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from packaging.version import Version

from grove_core.base.errors import Quarantined, Refused, RolloutActive
from grove_core.base.interrupts import put_off
from grove_core.base.versions import Requirement, matching
from grove_core.rollouts.rollout import Member, Rollout, owner
from grove_core.rollouts.weighing import others_of
from grove_core.rollouts.whole import Standing
from grove_core.runtime.rows.roles import release
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import ModuleState
from grove_core.runtime.ticking.breaker import closed_by_hand
from grove_core.runtime.ticking.rollback import reload


@dataclass(frozen=True)
class Calls:
    """What rollouts need of their engine, in a turn that they took."""

    there: Callable[[str], ModuleState | None]
    """Gives a module by its name, if it has a version."""
    state: Callable[[str], ModuleState]
    """Gives a module by its name, what is known of the ways between its versions complete; raises `UnknownModule`."""
    load: Callable[[str, Requirement, str | None, Mapping[str, Any] | None], Version]
    """Loads a version."""
    unload: Callable[[str, Version], None]
    """Unloads one that has neither entities nor weight."""
    installed: Callable[[str, Requirement], Version | None]
    """Gives the highest installed version that fits; None where none does."""


class Canaries:
    """The modules of a rollout, their canaries loaded, until it is settled whether they stay so."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.rollout: Rollout | None = None
        """What is made of them; once it is remembered nothing that is raised takes anything back."""


@contextmanager
def canaries_of(
    context: Context,
    calls: Calls,
    versions: Mapping[str, Requirement],
    rollouts: Sequence[Rollout],
    path: str | None,
    config: Mapping[str, Any] | None,
) -> Iterator[Canaries]:
    """Give the modules of a rollout. If anything fails within before they are kept, all is as before.

    Raises:
        GroveError: nothing has changed.
    """
    before: list[tuple[str, Standing]] = []
    known = frozenset(context.modules)
    found = Canaries()
    try:
        for module, requirement in versions.items():
            state = calls.state(module)
            refuse_owned(rollouts, module)
            before.append((module, Standing(state)))
            version = None if path is not None else _canary(calls, state, requirement)
            if version is None or version not in state.versions:
                version = calls.load(module, requirement if version is None else str(version), path, config)
            stable = state.stable_version.version
            if version == stable:
                raise Refused("it is stable already; there is nothing to roll out", module=module, version=version)
            found.members.append(Member(module, version, stable, others_of(state, version) or {stable: 1.0}))
        yield found
    except BaseException:
        if not any(each is found.rollout for each in rollouts):
            _restore(context, calls, before, known)
        raise


@contextmanager
def again(context: Context, calls: Calls, rollout: Rollout, rollouts: Sequence[Rollout]) -> Iterator[None]:
    """Make the canaries of a rollout that has ended ready for another attempt; if it is not made, all is as before.

    Raises:
        GroveError: nothing has changed.
    """
    before: list[tuple[str, Standing]] = []
    quarantined: list[tuple[ModuleState, Version]] = []
    ended = rollout.state
    stables = [(member, member.stable, member.others) for member in rollout.members]
    try:
        for member in rollout.members:
            state = calls.state(member.module)
            refuse_owned(rollouts, member.module)
            if state.stable_version.version == member.canary:
                raise Refused("it is stable meanwhile", module=member.module, version=member.canary)
            before.append((member.module, Standing(state)))
            if member.canary in state.quarantined:
                quarantined.append((state, member.canary))
            if member.canary not in state.versions:
                reload(context, state, member.canary)
            release(context, state, member.canary)
            closed_by_hand(state, member.canary)
            member.stable = state.stable_version.version
            member.others = others_of(state, member.canary) or {member.stable: 1.0}
        yield
    except BaseException:
        if rollout.state is ended:
            with put_off():
                for member, stable, others in stables:
                    member.stable, member.others = stable, others
                for state, version in quarantined:
                    state.quarantined.add(version)
                _restore(context, calls, before, frozenset(context.modules))
        raise


@put_off()
def _restore(context: Context, calls: Calls, before: Sequence[tuple[str, Standing]], known: frozenset[str]) -> None:
    """Have modules be as they were, and unload what was loaded since, also for its sake; the latest first."""
    for _, standing in before:
        standing.restore(context)
    for module, standing in reversed(before):
        for version in calls.state(module).versions.keys() - standing.versions:
            calls.unload(module, version)
    for module in [name for name in reversed(context.modules) if name not in known]:
        for version in list(context.modules[module].versions):
            calls.unload(module, version)


def refuse_owned(rollouts: Sequence[Rollout], module: str) -> None:
    """Raise `RolloutActive` where a rollout owns the module's split."""
    if (active := owner(rollouts, module)) is not None:
        raise RolloutActive(
            f"rollout {active.number} of {active.names} is {active.state} and owns the split; "
            f"end it first, such as by engine.rollouts.abort({module!r})",
            module=module,
        )


def _canary(calls: Calls, state: ModuleState, requirement: Requirement) -> Version | None:
    """Find the version that is meant: one that is loaded and not stable, else the highest installed; None: neither.

    Raises:
        Quarantined: it was rolled back.
    """
    there = [version for version in matching(requirement, state.versions) if version != state.stable]
    version = there[-1] if there else calls.installed(state.name, requirement)
    if version is not None and version in state.quarantined:
        raise Quarantined(
            "it was rolled back, and is in quarantine; `retry` its rollout, or load it by name, if it is to run again",
            module=state.name,
            version=version,
        )
    return version
