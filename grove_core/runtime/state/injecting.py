"""Which faults are injected where: what a `DebugEngine` was told, and what its seeds draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from numpy.random import Generator
from packaging.version import Version

from grove_core.base.versions import Requirement, matching
from grove_core.wire.faults import AT_LOAD, AT_PATCH, IN_TICKS, FaultPoint, InjectedKind, Planned


@dataclass(frozen=True)
class PlannedAtLoad:
    """A fault that waits for a version to be loaded or patched."""

    module: str
    requirement: Requirement
    fault: Planned


@dataclass(frozen=True)
class RandomFaults:
    """Faults at random: in each tick, and at each load, of the versions that fit.

    Drawn from its own generator, in the order of ticks and versions: the same seed gives the same faults.
    """

    module: str
    requirement: Requirement | None
    """None: every version."""
    rate: float
    """The probability of one in a tick, or at a point of a load."""
    choices: tuple[tuple[InjectedKind, FaultPoint], ...]
    """Each is as likely as any other."""
    seconds: float
    bytes: int
    generator: Generator = field(repr=False)

    def fits(self, module: str, version: Version) -> bool:
        """Tell whether it is meant for this version."""
        return module == self.module and (self.requirement is None or bool(matching(self.requirement, [version])))

    def draw(self, points: Sequence[FaultPoint], at: int | None) -> Planned | None:
        """Return a fault at one of `points`, or None, which is the rule."""
        possible = [choice for choice in self.choices if choice[1] in points]
        if not possible or self.generator.random() >= self.rate:
            return None
        kind, point = possible[int(self.generator.integers(len(possible)))]
        return Planned(kind, point, at if point in IN_TICKS else None, self.seconds, self.bytes)


class FaultPlan:
    """What is injected into the versions of one engine. An engine that injects nothing has an empty one."""

    def __init__(self) -> None:
        self.waiting: list[PlannedAtLoad] = []
        self.at_random: list[RandomFaults] = []

    def at_load(self, module: str, version: Version, among: frozenset[FaultPoint] = AT_LOAD) -> tuple[Planned, ...]:
        """Take the faults for a version that is being loaded now; `among` are the points that it is going to reach."""
        due = [
            one
            for one in self.waiting
            if one.module == module and one.fault.point in among and matching(one.requirement, [version])
        ]
        self.waiting = [one for one in self.waiting if one not in due]
        points = [point for point in FaultPoint if point in among]
        drawn = [one.draw(points, None) for one in self.at_random if one.fits(module, version)]
        return (*(one.fault for one in due), *(fault for fault in drawn if fault is not None))

    def in_tick(self, module: str, version: Version, number: int) -> list[Planned]:
        """Draw the faults of a version for the tick with this number."""
        points = [point for point in FaultPoint if point not in AT_PATCH]
        drawn = [one.draw(points, number) for one in self.at_random if one.fits(module, version)]
        return [fault for fault in drawn if fault is not None]
