"""What the figures are to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.figures import Figure, Outcome, Unit, Verdict, Who


class Statistic(StrEnum):
    """Which number of a figure counts."""

    MEDIAN = "p50"
    P95 = "p95"


@dataclass(frozen=True)
class Target:
    """A figure of ours, and how much it may be, or must be where more is better."""

    title: str
    case: str
    entities: int
    limit: float
    unit: Unit = Unit.MS
    statistic: Statistic = Statistic.MEDIAN

    def outcome(self, figures: Sequence[Figure]) -> Outcome:
        """Say whether it was reached."""
        for figure in figures:
            if figure.key == (self.case, Who.OURS, self.entities) and figure.unit is self.unit:
                value: float = getattr(figure, self.statistic.value)
                good = value >= self.limit if self.unit.more_is_better else value <= self.limit
                verdict = Verdict.REACHED if good else Verdict.NOT_REACHED
                return Outcome(self.title, self.limit, value, self.unit, figure.runs, verdict)
        return Outcome(self.title, self.limit, None, self.unit, 0, Verdict.NOT_MEASURED)


H, M = 100_000, 1_000_000

TARGETS = (
    Target("ready with the spare, median", "ready", 0, 3.0),
    Target("ready with the spare, p95", "ready", 0, 5.0, statistic=Statistic.P95),
    Target("no-op tick over three versions, without the checkpoint", "noop, all constant", H, 0.1),
    Target("no-op tick over three versions, with the checkpoint", "noop, all mutable", H, 0.2),
    Target("checkpoint in a real tick", "checkpoint / memcpy", M, 1.3, Unit.TIMES_MEMCPY),
    Target("move 20%, hot, there and back again", "move 20%", H, 0.6),
    Target("move 20%, hot, scattered rows", "move 20%, scattered", H, 0.6),
    Target("migrate all, adopted", "migrate, adopted", H, 0.3),
    Target("migrate all, copied", "migrate, copied", H, 1.0),
    Target("SIGKILL until the next good tick, 100k", "kill", H, 6.0),
    Target("SIGKILL until the next good tick, 1M", "kill", M, 15.0),
    Target("memory returned by an unload", "memory returned", M, 99.0, Unit.PERCENT),
    Target("v1's process, of memcpy's bandwidth", "v1 bandwidth", M, 90.0, Unit.PERCENT),
    Target("v3's process with pair search, numpy", "v3 process, numpy", H, 8.0),
    Target("v3's process with pair search, numba", "v3 process, numba", H, 2.5),
    Target("exact quota", "quota, three versions", M, 20.0, Unit.NS_PER_ENTITY),
)


def outcomes(figures: Sequence[Figure]) -> tuple[Outcome, ...]:
    """Hold figures against every target."""
    return tuple(target.outcome(figures) for target in TARGETS)
