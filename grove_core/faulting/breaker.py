"""The circuit breaker: single faults are borne, and a version that fails too often is rolled back and tried again."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from packaging.version import Version

from grove_core.base.health import BreakerState
from grove_core.base.records import Fault, Role, VersionUse
from grove_core.faulting.evidence import Evidence
from grove_core.parts.contracts import Decision, Finding, Pause, Restart, Retry, Rollback

LIMIT = 0.05
"""The error rate that a version may have, of the specification."""
LEAST = 20
"""Fewer calls than these show nothing."""


class BreakerTest(StrEnum):
    """By what a version fails too often."""

    RATE = "rate"
    EVIDENCE = "evidence"


class ErrorTest(Protocol):
    """Tells whether a version fails too often."""

    def why_over(self, use: VersionUse) -> str | None:
        """Return how it is over the limit, in words, or None."""
        ...


class Rate:
    """Errors per call in the version's latest 100 ticks, against a limit, from a least number of calls on.

    It is quick and plain, and it trips on chance: a version with 2% errors is over 5% of the latest 100 calls now and
    then, and is rolled back within 3,000 calls in four of five runs. `Evidence` is not.
    """

    def __init__(self, limit: float, least: int) -> None:
        self._limit = limit
        self._least = least

    def why_over(self, use: VersionUse) -> str | None:
        """Return how it is over the limit, in words, or None."""
        health = use.health
        if health.calls < self._least or health.errors <= self._limit * health.calls:
            return None
        share = 100 * health.errors / health.calls
        return (
            f"{health.errors} of its latest {health.calls} calls failed, {share:.3g}%; the limit is {self._limit:.3g}"
        )


class Breaker:
    """Restores and counts, and rolls back what fails too often: to stable, or from stable to previous.

    Of a version that fails again before it had a good tick, nobody is served: it is rolled back at once, as is one
    that fails while it is on trial. Where there is nowhere to go, the version is restarted, and if it had no good tick
    since, the module pauses.

    Args:
        test: `rate`, or `evidence`, which chance does not fool.
        limit: the error rate that is borne, above 0 and below 1.
        least: for `rate`, from how many calls on it is looked at.
        patience: for `evidence`, see `Evidence`.
        cooldown_seconds: by the clock, until a version that was rolled back is tried again; twice as long each time.
        trial: the weight it has then, above 0 and below 1.
        trial_ticks: so many ticks without a failure end the trial.
        attempts: after so many rollbacks it is not tried again.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        test: str = BreakerTest.RATE,
        limit: float = LIMIT,
        least: int = LEAST,
        patience: float = 100_000.0,
        cooldown_seconds: float = 30.0,
        trial: float = 0.01,
        trial_ticks: int = 300,
        attempts: int = 3,
    ) -> None:
        for name, value in (("limit", limit), ("trial", trial)):
            if not 0 < value < 1:
                raise ValueError(f"{name} must be above 0 and below 1, not {value!r}")
        for name, value in (("least", least), ("trial_ticks", trial_ticks), ("attempts", attempts)):
            if not value >= 1:
                raise ValueError(f"{name} must be at least 1, not {value!r}")
        if not cooldown_seconds >= 0:
            raise ValueError(f"cooldown_seconds must be at least 0, not {cooldown_seconds!r}")
        chosen = BreakerTest(test)
        self._test: ErrorTest = Rate(limit, least) if chosen is BreakerTest.RATE else Evidence(limit, patience)
        self._retry = Retry(cooldown_seconds, trial, trial_ticks, attempts)

    def decide(self, fault: Fault, uses: Sequence[VersionUse], previous: Version | None) -> Decision:
        """Return what a fault does: `Restart` while it is borne."""
        use = next(use for use in uses if use.version == fault.version)
        bearable = use.restarts == 0 and use.breaker is BreakerState.CLOSED
        if bearable and self._test.why_over(use) is None:
            return Restart()
        return self._give_up(use, uses, previous)

    def review(self, version: Version, uses: Sequence[VersionUse], previous: Version | None) -> Finding | None:
        """Return why failed entities are too many, and what is to be done, or None."""
        use = next(use for use in uses if use.version == version)
        if use.breaker is BreakerState.HALF_OPEN:
            return Finding("entities failed while it was on trial", self._give_up(use, uses, previous))
        reason = self._test.why_over(use)
        if reason is None:
            return None
        decision = self._give_up(use, uses, previous)
        return Finding(reason, decision) if isinstance(decision, Rollback) else None

    def _give_up(self, use: VersionUse, uses: Sequence[VersionUse], previous: Version | None) -> Decision:
        stable = next((one.version for one in uses if one.role is Role.STABLE), None)
        target = previous if use.version == stable else stable
        if target is not None:
            return Rollback(target, self._retry)
        return Pause() if use.restarts else Restart()
