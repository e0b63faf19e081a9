"""A comparison that is on: which entities failed for the first time since it began, and in which version.

What one entity does again and again is no news, so the table remembers of each what it failed at: one bit for errors,
one for each objective. The bits go wherever the entity goes, also to another version: nobody is counted twice. Who is
born has none. While no comparison is on nothing of this is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import ID
from grove_core.base.comparison import ERRORS, OBJECTIVES, Objective
from grove_core.base.errors import InvalidInput
from grove_core.base.interrupts import put_off
from grove_core.runtime.state.directory import rows_of
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.store import FAILED, FREE, PINNED

EVERY_BIT = 0xFF


class Firsts(NamedTuple):
    """What was tried and failed in one version, of entities that had not failed before."""

    trials: int = 0
    """Entities in committed ticks; for an objective, observed values."""
    failures: int = 0
    """How many entities failed."""


NOBODY = Firsts()


class Watch:
    """What a module's entities fail at, from `begin` on. Read it with `take`, after each tick.

    Args:
        objectives: what is held against observed values.
    """

    def __init__(self, objectives: tuple[Objective, ...]) -> None:
        self.objectives = {objective.name: objective for objective in objectives}
        self._bits = {name: 1 << place for place, name in enumerate((ERRORS, *self.objectives))}
        self._used = 0
        """The bits that some entity may have."""
        self._pending: dict[Version, dict[str, Firsts]] = {}
        self._before: dict[Version, dict[str, Firsts]] = {}
        """What was pending before the tick that is on."""
        self._marked: list[tuple[int, NDArray[np.int64]]] = []
        """Who got which bit in this tick."""
        self.failing = False
        """Whether anybody failed for the first time since `take` was last called."""

    def take(self, loaded: LoadedVersion) -> dict[str, Firsts]:
        """Return what came since this was last asked of the version: `errors`, and each objective by its name."""
        self.failing = False
        pending = self._pending.pop(loaded.version, {})
        return {name: pending.get(name, NOBODY) for name in self._bits}

    def at_risk(self, loaded: LoadedVersion, name: str, failures: int) -> int:
        """Return how many of a version's entities had not failed before the `failures` that were just taken."""
        return loaded.count - self._failed(loaded, self._bits[name], 0, loaded.count) + failures

    def leave_out_pinned(self, state: ModuleState) -> None:
        """Count nobody who is pinned now: where they are is no chance, so it says nothing of a version."""
        for loaded in state.versions.values():
            pinned = loaded.table[PINNED] != FREE
            if pinned.any():
                loaded.table[FAILED][pinned] = EVERY_BIT
                self._used = EVERY_BIT

    def tick_begins(self) -> None:
        """Note where things are, for `take_back`."""
        self._before = {version: dict(pending) for version, pending in self._pending.items()}
        self._marked = []

    def take_back(self, state: ModuleState) -> None:
        """Forget what the tick that is on brought: it did not happen."""
        for bit, ids in self._marked:
            for loaded in state.versions.values():
                rows = rows_of(loaded.table, ids)
                loaded.table[FAILED][rows[rows >= 0]] &= np.uint8(~bit & 0xFF)
        self._pending, self._marked = self._before, []

    def count(self, loaded: LoadedVersion, start: int, stop: int, failed: NDArray[np.int64]) -> None:
        """Count a committed tick of the rows from `start` to `stop`, of which these failed; distinct."""
        bit = self._bits[ERRORS]
        trials = stop - start - self._failed(loaded, bit, start, stop)
        self._add(loaded, ERRORS, trials, self._mark(loaded, failed, bit) if len(failed) else 0)

    def observe(
        self, loaded: LoadedVersion, name: str, values: NDArray[np.float64], rows: NDArray[np.int64] | slice
    ) -> None:
        """Hold observed values against their objective, if they have one: a value for each of `rows`, in any order."""
        objective = self.objectives.get(name)
        if objective is None or not len(values):
            return
        bit = self._bits[name]
        missed = np.zeros(len(values), np.bool_)
        if objective.at_least is not None:
            missed |= values < objective.at_least
        if objective.at_most is not None:
            missed |= values > objective.at_most
        trials = len(values)
        if self._used & bit:
            trials -= int(np.count_nonzero(loaded.table[FAILED][rows] & bit))
        at = np.flatnonzero(missed)
        who = at + rows.start if isinstance(rows, slice) else np.unique(rows[at])
        self._add(loaded, name, trials, self._mark(loaded, who, bit) if len(who) else 0)

    def _mark(self, loaded: LoadedVersion, rows: NDArray[np.int64], bit: int) -> int:
        """Give a bit to those of distinct rows that lack it; return how many did."""
        flags = loaded.table[FAILED]
        new = rows[(flags[rows] & bit) == 0]
        self._used |= bit
        self._marked.append((bit, loaded.table[ID][new]))
        flags[new] |= np.uint8(bit)
        self.failing = self.failing or len(new) > 0
        return len(new)

    def _failed(self, loaded: LoadedVersion, bit: int, start: int, stop: int) -> int:
        """Count those of a run of rows that have a bit."""
        if not self._used & bit:
            return 0
        return int(np.count_nonzero(loaded.table[FAILED][start:stop] & bit))

    def _add(self, loaded: LoadedVersion, name: str, trials: int, failures: int) -> None:
        pending = self._pending.setdefault(loaded.version, {})
        before = pending.get(name, Firsts())
        pending[name] = Firsts(before.trials + trials, before.failures + failures)


def begin(state: ModuleState, objectives: Iterable[Objective] = ()) -> Watch:
    """Begin a comparison in a module, in place of the one that is on: nobody has failed yet. Return its watch.

    Raises:
        InvalidInput: there are more than seven objectives, or two of one name; nothing has changed.
    """
    given = tuple(objectives)
    if len(given) > OBJECTIVES:
        raise InvalidInput(f"there are {len(given)} objectives; a comparison takes {OBJECTIVES}", module=state.name)
    names = [objective.name for objective in given]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"two objectives are about {twice}; give at_least and at_most in one", module=state.name)
    with put_off():
        for loaded in state.versions.values():
            loaded.table[FAILED][...] = 0
        state.watch = Watch(given)
    return state.watch


def end(state: ModuleState) -> None:
    """End the comparison that is on, if there is one."""
    state.watch = None
