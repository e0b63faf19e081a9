"""One comparison in the making: who failed for the first time since it began, and on which side.

If both versions fail alike, the next entity to fail for the first time is the canary's with the probability
w = its entities that have not failed yet / those of both: a split is random (by salted hash), so that it is as good as
drawing labels without replacement, whatever each entity's own error rate. The logarithms of these probabilities are
added up as failures come. Several in one tick are taken as if w stayed the same meanwhile, which makes what judges
compute from it no larger in the mean (Hoeffding 1963: sampling without replacement is the less spread).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from grove_core.base.comparison import ERRORS, TICKS, Comparison, Contest, Objective
from grove_core.runtime.rows import watch
from grove_core.runtime.rows.watch import Firsts
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.ticking.observing import observed_since, snapshot

HALF = math.log(0.5)
LOOK_SECONDS = 1.0
"""How often, by the clock, judges are asked at least."""
SLACK = 1e-6
"""Seconds by which sums of many dts may fall short of what they are."""


class Tally:
    """One contest in the making."""

    def __init__(self) -> None:
        self.canary_trials = self.canary_failures = self.stable_trials = self.stable_failures = 0
        self.log_chance = 0.0

    def contest(self) -> Contest:
        """Return what it came to."""
        return Contest(
            self.canary_trials, self.canary_failures, self.stable_trials, self.stable_failures, self.log_chance
        )


@dataclass(frozen=True)
class Terms:
    """What a comparison counts."""

    objectives: tuple[Objective, ...]
    """Of observed values."""
    tick_ms: float | None
    """A tick that takes longer is late; None: longer than its dt."""
    parts: int
    """How many comparisons the rollout makes."""
    alone: bool
    """Whether stable has no part in it."""


class Counting:
    """Counts what befalls a canary and stable, from now on.

    Args:
        context: the engine's parts.
        state: the module.
        canary: on trial.
        stable: what it is held against.
        terms: what is counted.
    """

    def __init__(
        self, context: Context, state: ModuleState, canary: LoadedVersion, stable: LoadedVersion, terms: Terms
    ) -> None:
        self._context, self._module, self._terms = context, state.name, terms
        self.canary, self.stable = canary, stable
        self._began = context.clock.now()
        self._since = snapshot(canary), snapshot(stable)
        self._tallies = {name: Tally() for name in (ERRORS, TICKS, *(each.name for each in terms.objectives))}
        self._asked: float | None = None
        """The clock's time when the judges were asked last."""
        self._watch = watch.begin(state, terms.objectives)
        if not terms.alone:
            self._watch.leave_out_pinned(state)

    def count(self, number: int, dt: float) -> bool:
        """Count what came since the last time; tell whether anything of it was a failure, of either.

        Args:
            number: the tick that was just done.
            dt: its seconds.
        """
        late = self._count_tick(number, dt * 1000 if self._terms.tick_ms is None else self._terms.tick_ms)
        return (self._watch.failing and self._take()) or late

    def _take(self) -> bool:
        """Count entities: at once where one failed, as it matters who had not by then; else when somebody asks."""
        mine, theirs = self._watch.take(self.canary), self._watch.take(self.stable)
        failed = [self._count_firsts(name, mine[name], theirs[name]) for name in mine]
        return any(failed)

    def is_due(self) -> bool:
        """Tell whether judges were not asked yet, or a second ago, by the clock."""
        return self._asked is None or not 0 <= self._context.clock.now() - self._asked < LOOK_SECONDS - SLACK

    def _count_firsts(self, name: str, mine: Firsts, theirs: Firsts) -> bool:
        tally = self._tallies[name]
        tally.canary_trials += mine.trials
        tally.canary_failures += mine.failures
        if self._terms.alone:
            return mine.failures > 0
        tally.stable_trials += theirs.trials
        tally.stable_failures += theirs.failures
        if mine.failures or theirs.failures:
            ours = self._watch.at_risk(self.canary, name, mine.failures)
            others = self._watch.at_risk(self.stable, name, theirs.failures)
            tally.log_chance += _times_log(mine.failures, ours, ours + others)
            tally.log_chance += _times_log(theirs.failures, others, ours + others)
        return mine.failures + theirs.failures > 0

    def _count_tick(self, number: int, limit_ms: float) -> bool:
        """Count a tick that one of them lost or was late with: where both were, it says nothing of either."""
        tally = self._tallies[TICKS]
        mine, theirs = self.canary.meter.latest, self.stable.meter.latest
        if mine is None or mine.tick != number:
            return False
        late = mine.ms is None or mine.ms > limit_ms
        if self._terms.alone:
            tally.canary_trials += 1
            tally.canary_failures += late
            return late
        if theirs is not None and theirs.tick == number:
            tally.canary_trials += 1
            tally.stable_trials += 1
            theirs_late = theirs.ms is None or theirs.ms > limit_ms
            if late != theirs_late:
                tally.canary_failures += late
                tally.stable_failures += theirs_late
                tally.log_chance += HALF
                return True
        return False

    def comparison(self) -> Comparison:
        """Return what was counted so far, for the judges that are asked now."""
        self._take()
        self._asked = self._context.clock.now()
        return Comparison(
            self._module,
            observed_since(self._context, self.canary, self._since[0]),
            observed_since(self._context, self.stable, self._since[1]),
            self._context.clock.now() - self._began,
            {name: tally.contest() for name, tally in self._tallies.items()},
            self._terms.parts,
        )


def _times_log(failures: int, part: int, whole: int) -> float:
    return failures * math.log(part / whole) if failures else 0.0
