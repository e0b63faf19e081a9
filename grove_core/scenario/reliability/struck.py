"""Which fault was injected, what the engine saw of it, and when its entities had their next committed tick."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from grove_core.base.records import Fault, FaultKind
from grove_core.scenario.common.outcome import percentile
from grove_core.wire.faults import AT_LOAD, SEEN_AS, FaultPoint, InjectedKind

if TYPE_CHECKING:
    from packaging.version import Version

    from grove_core.base.records import TickReport


@dataclass(frozen=True)
class Struck:
    """A fault that was committed, and what came of it."""

    kind: InjectedKind
    point: FaultPoint
    major: int
    second: float
    seen_as: str | None
    """The kind of fault in a tick, the error of a load; None: the engine saw nothing."""
    ms: float
    """From the start of what it struck, detection included, until its entities' next committed tick."""
    recovered: bool
    """Whether every entity had its tick, in a version that runs, with the values of the reference."""

    @classmethod
    def at(
        cls,
        kind: InjectedKind,
        point: FaultPoint,
        major: int,
        second: float,
        seen_as: str | None,
        ms: float,
        right: bool,
    ) -> Self:
        """Judge a fault: what must be seen and was not is not recovered, whatever the entities say."""
        return cls(kind, point, major, second, seen_as, ms, right and (seen_as is not None or kind not in SEEN_AS))

    @property
    def at_load(self) -> bool:
        """Whether it struck a load, when the version had no entities."""
        return self.point in AT_LOAD


@dataclass(frozen=True)
class Armed:
    """A fault that a worker was told to commit."""

    kind: InjectedKind
    point: FaultPoint
    tick: int


class Ledger:
    """Pairs what was injected with what was seen."""

    def __init__(self) -> None:
        self.struck: list[Struck] = []
        self.unexpected: list[Fault] = []
        """Faults that nobody injected."""
        self._armed: dict[Version, list[Armed]] = defaultdict(list)

    def arm(self, version: Version, fault: Armed) -> None:
        """Note what a version's worker was told."""
        self._armed[version].append(fault)

    def forget(self, version: Version) -> None:
        """Note that its worker is gone, and what it was told with it."""
        self._armed.pop(version, None)

    def tick(self, second: float, report: TickReport, recovered: bool) -> None:
        """Note a tick: its faults, and what was to strike in it and did not become one."""
        for fault in report.faults:
            cause = self._cause(fault)
            self.forget(fault.version)
            if cause is None:
                self.unexpected.append(fault)
            else:
                self._note(cause, fault.version, second, fault.kind.value, _downtime(report, fault), recovered)
        for version, every in self._armed.items():
            for armed in every:
                if armed.tick == report.number and armed.point is FaultPoint.PROCESS:
                    self._note(armed, version, second, None, report.ms, recovered)

    def load(self, struck: Struck) -> None:
        """Note a fault that struck a load."""
        self.struck.append(struck)

    def _note(
        self, armed: Armed, version: Version, second: float, seen_as: str | None, ms: float, recovered: bool
    ) -> None:
        self.struck.append(Struck.at(armed.kind, armed.point, version.major, second, seen_as, ms, recovered))

    def _cause(self, fault: Fault) -> Armed | None:
        """Choose what a fault came of, or None: nothing that its version was told explains it."""
        likely = [(rank, one) for one in self._armed.get(fault.version, ()) if (rank := _rank(one, fault)) is not None]
        return min(likely, key=lambda ranked: ranked[0], default=(0, None))[1]


def _rank(armed: Armed, fault: Fault) -> int | None:
    """Return how well what was injected explains a fault, 0 being best; None: it does not."""
    visible = armed.kind in SEEN_AS
    if armed.point is FaultPoint.PROCESS and visible:
        if armed.tick != fault.tick:
            return None
        return 0 if SEEN_AS[armed.kind] is fault.kind else 2
    if visible:
        return 1  # it waits until columns are let go of, and is seen as whatever comes of that
    # What takes memory, prints or forks is seen where a limit is set, at once or later; it makes nobody late.
    return None if fault.kind is FaultKind.DEADLINE else 3


def late(faults: Iterable[Fault]) -> list[Fault]:
    """Return those that a machine can cause that is busy with something else: a deadline passed."""
    return [fault for fault in faults if fault.kind is FaultKind.DEADLINE]


def table(struck: Sequence[Struck]) -> Iterator[str]:
    """Tell for each kind how often it struck, what it was seen as, and how long the recovery took, in lines."""
    yield f"{'fault':<12}{'where':<9}{'count':>6}{'recovered':>11}{'p50':>9}{'p99':>9}{'max':>9}  seen as"
    for (kind, where), group in _groups(struck):
        times = [one.ms for one in group]
        good = sum(one.recovered for one in group)
        p50, p99 = percentile(times, 50), percentile(times, 99)
        seen = ", ".join(sorted({one.seen_as or "nothing" for one in group}))
        counts = f"{kind:<12}{where:<9}{len(group):>6}{good:>11}"
        yield f"{counts}{p50 or 0.0:>9.2f}{p99 or 0.0:>9.2f}{max(times):>9.2f}  {seen}"


def documents(struck: Sequence[Struck]) -> list[dict[str, Any]]:
    """Return the same for JSON."""
    return [
        {
            "kind": kind.value,
            "where": where,
            "count": len(group),
            "recovered": sum(one.recovered for one in group),
            "seen_as": sorted({one.seen_as or "nothing" for one in group}),
            "p50_ms": percentile([one.ms for one in group], 50),
            "p99_ms": percentile([one.ms for one in group], 99),
            "max_ms": max(one.ms for one in group),
        }
        for (kind, where), group in _groups(struck)
    ]


def _groups(struck: Sequence[Struck]) -> Iterator[tuple[tuple[InjectedKind, str], list[Struck]]]:
    """Group by kind and by where it struck: in a tick, in a move of entities, or at a load."""
    places: tuple[tuple[str, Callable[[FaultPoint], bool]], ...] = (
        ("tick", lambda point: point is FaultPoint.PROCESS or point is FaultPoint.SPAWN),
        ("migrate", lambda point: point is FaultPoint.MIGRATE),
        ("load", lambda point: point in AT_LOAD),
    )
    for where, fits in places:
        for kind in InjectedKind:
            group = [one for one in struck if one.kind is kind and fits(one.point)]
            if group:
                yield (kind, where), group


def _downtime(report: TickReport, fault: Fault) -> float:
    """Return how long the rows of a fault had no service: its rollback's downtime, else the whole tick."""
    told = (one.downtime_ms for one in report.rollbacks if one.fault is fault)
    return next((ms for ms in told if ms is not None), report.ms)
