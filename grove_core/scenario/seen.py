"""What was seen during a run: plain values, from which metrics and assertions are computed afterwards.

Versions stand by their major numbers: 1, 2 and 3, which the text calls v1, v2 and v3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grove_core.base.metrics import VersionMetrics
    from grove_core.base.records import Fault, RollbackReport, UnloadReport
    from grove_core.scenario.frames import Frame
    from grove_core.wire.faults import InjectedKind

Counts = Mapping[int, int]
"""Major number -> entities."""


class Phase(IntEnum):
    """The phases of the run, by their numbers."""

    BASELINE = 0
    CANARY = 1
    RAMP = 2
    COLLECTION = 3
    ROLLBACK = 4
    THREE_WAY = 5


def exact_shares(entities: int, percent: Mapping[int, int]) -> dict[int, int]:
    """Share entities out by largest remainder, in integers; of equal remainders the lower version's is first.

    Args:
        entities: how many there are.
        percent: major number -> whole percent, 100 in all.
    """
    shares = {major: entities * part // 100 for major, part in percent.items()}
    by_remainder = sorted(percent, key=lambda major: (-(entities * percent[major] % 100), major))
    for major in by_remainder[: entities - sum(shares.values())]:
        shares[major] += 1
    return shares


@dataclass(frozen=True)
class SplitSeen:
    """A split, and where the entities were right after it."""

    second: int
    percent: Counts
    """What was asked for, in percent."""
    counts: Counts
    ms: float

    @property
    def exact(self) -> dict[int, int]:
        """The counts that were to be met, for as many entities as were there."""
        return exact_shares(sum(self.counts.values()), self.percent)

    @property
    def deviation(self) -> float:
        """The largest distance between a version's share and its weight, in percentage points."""
        return self._distance(self.counts)

    @property
    def rounding(self) -> float:
        """The distance that cannot be avoided, since entities are whole, in percentage points."""
        return self._distance(self.exact)

    def _distance(self, counts: Counts) -> float:
        entities = sum(counts.values())
        if not entities:
            return 100.0
        majors = counts.keys() | self.percent.keys()
        return max(abs(100 * counts.get(major, 0) / entities - self.percent.get(major, 0)) for major in majors)


@dataclass(frozen=True)
class Check:
    """A look at every entity, held against the reference, and at what every worker maps."""

    counts: Counts
    """Entities of every version that is loaded."""
    expected: Counts
    lost: int
    foreign: int
    """Rows that are not an entity that was spawned, or one a second time."""
    right: int
    """Entities of which every column of every loaded version is the reference's, bit for bit."""
    areas: int
    """Memory areas that workers share with the engine."""
    foreign_areas: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def total(self) -> int:
        """All entities there are."""
        return sum(self.counts.values())

    @property
    def as_expected(self) -> bool:
        """Whether every version has exactly the entities it should have."""
        return {m: n for m, n in self.counts.items() if n} == {m: n for m, n in self.expected.items() if n}


@dataclass(frozen=True)
class LoadSeen:
    """A version was loaded, by a call or by a rollback."""

    major: int
    ms: float


@dataclass
class PhaseSeen:
    """One phase, filled in while it runs."""

    phase: Phase
    name: str
    start: int
    stop: int
    """Simulated seconds."""
    tick_ms: list[float] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    """One a tick."""
    loads: list[LoadSeen] = field(default_factory=list)
    splits: list[SplitSeen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    rollbacks: list[RollbackReport] = field(default_factory=list)
    collected: list[UnloadReport] = field(default_factory=list)
    started: bool = False
    check: Check | None = None
    error: str | None = None
    """What ended the phase early."""

    @property
    def seconds(self) -> int:
        """How long it should last."""
        return self.stop - self.start

    @property
    def complete(self) -> bool:
        """Whether it came to its end and was checked."""
        return self.check is not None and self.error is None


@dataclass
class Seen:
    """One run. `phases` holds all six, in order, also those that were never begun."""

    entities: int
    ticks_per_second: int
    fault: InjectedKind
    phases: list[PhaseSeen]
    tick_deadline_ms: float | None = None
    """How long the engine let a version take for a tick."""
    recovered: Check | None = None
    """The look at every entity right after the tick with the injected fault."""
    migration_ms: list[float] = field(default_factory=list)
    """Of every record in the migration history."""
    skipped: int = 0
    """Entities that had no tick, summed over all ticks."""
    ticks_short: int = 0
    """Ticks after which the entities that were ticked or skipped were not all there are."""
    most_versions: int = 0
    """The largest number of versions loaded at once."""
    baseline: VersionMetrics | None = None
    """v1 at the end of the first phase."""
    frame_ms: dict[int, float | None] = field(default_factory=dict)
    """Major number -> mean time of `process` in the last phase; None where it was never called."""

    @property
    def ticks(self) -> int:
        """All ticks that were done."""
        return sum(len(phase.tick_ms) for phase in self.phases)

    @property
    def frames(self) -> list[Frame]:
        """Every frame, in order."""
        return list(chain.from_iterable(phase.frames for phase in self.phases))

    @property
    def splits(self) -> Iterator[SplitSeen]:
        """Every split, in order."""
        return (split for phase in self.phases for split in phase.splits)

    @property
    def loads(self) -> Iterator[LoadSeen]:
        """Every load, in order."""
        return (load for phase in self.phases for load in phase.loads)

    @property
    def checks(self) -> Iterator[Check]:
        """Every look at all entities, in order."""
        for phase in self.phases:
            if phase.phase is Phase.ROLLBACK and self.recovered is not None:
                yield self.recovered
            if phase.check is not None:
                yield phase.check

    @property
    def collection(self) -> UnloadReport | None:
        """The first collection of v1."""
        reports = (report for phase in self.phases for report in phase.collected)
        return next((report for report in reports if report.version.major == 1), None)

    @property
    def rollback(self) -> RollbackReport | None:
        """The rollback that the injected fault caused."""
        return next(iter(self.phases[Phase.ROLLBACK].rollbacks), None)
