"""What a judge is shown of a canary beside stable, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from packaging.version import Version

from grove_core.base.histogram import Histogram
from grove_core.base.values import NAME

ERRORS = "errors"
"""The contest over entities that failed by the version's own word, the first time each."""
TICKS = "ticks"
"""The contest over ticks that were lost to a fault, or took longer than the objective."""
OBJECTIVES: Final = 7
"""How many objectives a comparison may have."""


class Verdict(StrEnum):
    """What a judge, or all of them, make of a canary."""

    PASS = "pass"  # noqa: S105 - no password
    INCONCLUSIVE = "inconclusive"
    """There is too little to tell, or something that a person ought to look at."""
    FAIL = "fail"

    @property
    def badness(self) -> int:
        """The higher the worse: of several the worst counts."""
        return (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL).index(self)


@dataclass(frozen=True)
class Judgement:
    """What one judge makes of a canary, and why."""

    verdict: Verdict
    reason: str
    """A sentence for people."""
    evidence: Mapping[str, float] = field(default_factory=dict)
    """The figures that it rests on, by their names."""


@dataclass(frozen=True)
class Summary:
    """Observed values of one name: player feedback, revenue, whatever a module or a program tells."""

    count: int
    total: float
    """Their sum."""
    squares: float
    """The sum of their squares."""
    spread: Histogram

    @property
    def mean(self) -> float | None:
        """Their mean, or None of none."""
        return self.total / self.count if self.count else None


@dataclass(frozen=True)
class Objective:
    """What each observed value of one name ought to be; one that is not is a failure of its entity, like an error.

    Raises:
        ValueError: the name is none, there is no bound, or the bounds leave nothing.
    """

    name: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and NAME.fullmatch(self.name)):
            raise ValueError(f"name is {self.name!r}; an observed value's name is like [a-z][a-z0-9_]*, 64 at most")
        if self.name in (ERRORS, TICKS):
            raise ValueError(f"name is {self.name!r}, which is a contest of its own; call the value otherwise")
        given = {key: bound for key in ("at_least", "at_most") if (bound := getattr(self, key)) is not None}
        if not given:
            raise ValueError(f"the objective of {self.name} has no bound; give at_least, at_most or both")
        for key, bound in given.items():
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
                raise ValueError(f"{key} is {bound!r}; it must be a finite number")
        if len(given) > 1 and given["at_least"] > given["at_most"]:
            raise ValueError(f"at_least is {self.at_least} and at_most {self.at_most}: no value is both")


@dataclass(frozen=True)
class Observed:
    """What one version did since the comparison began."""

    version: Version
    entities: int
    """How many it has now."""
    ticks: int
    """Those that were committed."""
    lost: int
    """Those that were lost to a fault."""
    calls: int
    """One for each entity and tick, lost ticks included."""
    errors: int
    """Those of `calls` that failed, by the version's own word or because the whole tick was lost."""
    durations: Histogram
    """How long its ticks took, in ms."""
    memory_bytes: int | None
    """Process and tables, now; None where it cannot be measured."""
    values: Mapping[str, Summary]
    """What was observed of its entities, by name."""

    @property
    def error_rate(self) -> float | None:
        """Errors per call, or None before the first."""
        return self.errors / self.calls if self.calls else None


@dataclass(frozen=True)
class Contest:
    """Failures of one kind, and on which side they fell.

    For entities these are the first failures of each since the comparison began: what one entity does again and again
    is no news. Assignment being random, if both versions fail alike then each next entity to fail for the first time
    is the canary's with a probability that is known: its part of all that have not failed yet.
    """

    canary_trials: int
    canary_failures: int
    stable_trials: int
    """0 where stable has no part in it: with all entities in the canary there is nothing to hold it against."""
    stable_failures: int
    log_chance: float
    """The natural logarithm of the probability that the failures fell on the sides they did, one after the other, if
    both versions fail alike; see `judging`."""


@dataclass(frozen=True)
class Comparison:
    """A canary beside stable, over the same period: totals since its step of the rollout began."""

    module: str
    canary: Observed
    stable: Observed
    seconds: float
    """How long it lasts, by the clock."""
    contests: Mapping[str, Contest]
    """`errors`, `ticks`, and one for each objective of an observed value, by the value's name."""
    parts: int = 1
    """How many comparisons the rollout makes: over so many a judge has to share out its probability to be wrong."""
