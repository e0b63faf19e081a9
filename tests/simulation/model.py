"""What every entity must be, in plain Python: no numpy, no Grove but the names of versions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.version import Version

from .versions import BEARS, BORN, ENDS, FAILS, THOUSAND

FIRST, SECOND, SKIPPING, THIRD = (Version(text) for text in ("1.0.0", "2.0.0", "2.1.0", "3.0.0"))
DEFAULT_B = 7


@dataclass(frozen=True)
class Row:
    """One entity with all that it has ever had; moving between versions changes none of it."""

    a: int
    x: float
    grain: int
    step: int
    level: int = 0
    b: int = DEFAULT_B

    def shown(self, version: Version) -> tuple[int | float, ...]:
        """Return the values as a version has them, in the order of its schema."""
        common = self.step, self.level
        if version == THIRD:
            return (self.a, self.x, self.grain // THOUSAND, self.grain % THOUSAND, *common)
        return (self.a, self.x, self.grain, *common, *(() if version == FIRST else (self.b,)))

    def ticked(self, version: Version, dt: float) -> Ticked:
        """Return what one tick of a version makes of it."""
        if version == FIRST:
            return Ticked(replace(self, a=self.a + self.step, x=self.x + dt))
        if version == SKIPPING:
            return Ticked(replace(self, a=self.a + self.step, x=self.x + 4 * dt, b=self.b + 2))
        if version == THIRD:
            return Ticked(replace(self, a=self.a + 2 * self.step, x=self.x + 8 * dt, grain=self.grain + THOUSAND))
        after = replace(self, a=self.a + self.step, x=self.x + 2 * dt, b=self.b + 1)
        failed, bears, ends = (after.a % divisor == rest for divisor, rest in (FAILS, BEARS, ENDS))
        if failed:
            return Ticked(self, failed=True)
        child = Row(-after.a, BORN, after.grain + 1, after.step + 1, 0, after.b) if bears else None
        return Ticked(None if ends else after, child)


@dataclass(frozen=True)
class Ticked:
    """What became of an entity in a tick."""

    row: Row | None
    """None: it ended."""
    child: Row | None = None
    failed: bool = False
