"""Figures, what they are held against, and the verdict that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verdict(StrEnum):
    """What a run came to."""

    PASSED = "PASSED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Threshold:
    """What a metric is held against: below one value, above one, or at a target with a tolerance."""

    below: float | None = None
    above: float | None = None
    target: float | None = None
    within: float = 0.0
    binding: bool = True
    """Whether it can decide an assertion; if not, it is shown beside what was measured, and that is all."""

    def holds(self, value: float | None) -> bool:
        """Tell whether a value meets it; None does not."""
        if value is None:
            return False
        if self.below is not None and not value < self.below:
            return False
        if self.above is not None and not value > self.above:
            return False
        return self.target is None or abs(value - self.target) <= self.within + 1e-9

    def document(self) -> dict[str, float | bool]:
        """Return it for JSON, without what it does not say."""
        given = {
            "below": self.below,
            "above": self.above,
            "target": self.target,
            "within": self.within or None,
            "binding": None if self.binding else False,
        }
        return {name: value for name, value in given.items() if value is not None}


class Judged:
    """What has assertions, and so a verdict."""

    assertions: Mapping[Any, bool | None]
    """What the run is to prove; None: it says nothing about a run like this one."""

    @property
    def passed(self) -> bool:
        """Whether every assertion holds that says something about this run."""
        return all(held for held in self.assertions.values() if held is not None)

    @property
    def verdict(self) -> Verdict:
        """Passed or failed."""
        return Verdict.PASSED if self.passed else Verdict.FAILED
