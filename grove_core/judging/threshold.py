"""Thresholds on what was measured of a canary: absolute ones, and beside stable over the same period.

Plain to say and to check, and no statistics: a rate that is over its limit by chance is over its limit. What depends on
chance is better left to `evidence`; docs/judging.md has how often each is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from grove_core.base.comparison import Comparison, Judgement, Verdict
from grove_core.base.showing import brief
from grove_core.base.values import NAME
from grove_core.judging.metrics import Metric, metric


class Better(StrEnum):
    """Which way a metric is to be."""

    LOWER = "lower"
    HIGHER = "higher"


DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "error_rate": {"limit": 0.05, "critical": True},
    "p99_ms": {"tolerance": 0.5, "slack": 1.0},
    "memory_bytes": {"tolerance": 1.0},
}
"""What is held where nothing else is said."""

LARGEST: Final = 1e300
"""Options beyond this, and below its negative, are no finite numbers."""


@dataclass(frozen=True)
class Rule:
    """What one metric is held to."""

    name: str
    metric: Metric
    better: Better
    tolerance: float | None
    """How much worse than stable it may be, as a part of stable's."""
    slack: float | None
    """How much worse besides, in the metric's unit."""
    limit: float | None
    critical: bool

    @property
    def relative(self) -> bool:
        """Whether it is held against stable."""
        return self.tolerance is not None or self.slack is not None

    def is_beyond(self, value: float, bound: float) -> bool:
        """Tell whether a value is worse than a bound."""
        return value > bound if self.better is Better.LOWER else value < bound

    def beside(self, stable: float, growth: float) -> float:
        """Return the bound that stable's figure makes, where the canary has `growth` times as many entities."""
        allowed = (self.tolerance or 0.0) * abs(stable) * growth + (self.slack or 0.0)
        return stable * growth + allowed if self.better is Better.LOWER else stable - allowed


class Threshold:
    """Fails a canary whose metrics are beyond a bound, or has a person look at it where they are not critical.

    Args:
        metrics: what to hold, by the metric's name, instead of `DEFAULTS`. Names are `error_rate` (errors per call),
            `lost_ticks`, `avg_ms` and `p1_ms` to `p99_ms` (a tick's time), `memory_bytes`, and that of any observed
            value, which stands for its mean. For each a table of:
            `better`: `lower` (default) or `higher`;
            `tolerance`: how much worse than stable's over the same period it may be, as a part of stable's: 0.5 is half
            as much again; `slack`: how much worse besides, in the metric's unit;
            `limit`: an absolute bound, besides stable's or instead;
            `critical`: true: beyond a bound is `FAIL`; false (default): it is `INCONCLUSIVE`.
            Times and memory grow with the entities, so where the canary has more than stable, what it is held against
            grows as their number does. Where stable has none at all there is only `limit`.
        least: of so many calls, ticks or observations each figure has to be; before that it is `INCONCLUSIVE`.

    Raises:
        ValueError: an option makes no sense; its path comes first.
    """

    def __init__(self, metrics: Mapping[str, Mapping[str, object]] | None = None, least: int = 60) -> None:
        chosen: object = DEFAULTS if metrics is None else metrics
        if not isinstance(chosen, Mapping) or not chosen:
            raise ValueError(f"metrics must map names to tables, and name one at least, not {brief(chosen)}")
        if isinstance(least, bool) or not isinstance(least, int) or least < 1:
            raise ValueError(f"least must be a whole number of at least 1, not {least!r}")
        self._rules = tuple(_rule(name, told) for name, told in chosen.items())
        self._least = least

    def judge(self, comparison: Comparison) -> Judgement:
        """Return the worst that a metric comes to."""
        figures: dict[str, float] = {}
        worst, reasons = Verdict.PASS, []
        for rule in self._rules:
            verdict, sentence = self._look(rule, comparison, figures)
            if sentence:
                reasons.append((verdict.badness, sentence))
                worst = max(worst, verdict, key=lambda each: each.badness)
        if not figures:
            return Judgement(Verdict.INCONCLUSIVE, "; ".join(text for _, text in reasons) or "nothing was measured")
        # What is worst comes first, and what was merely left out says so where all else is well.
        told = [text for badness, text in sorted(reasons, key=lambda each: -each[0])]
        return Judgement(worst, "; ".join(told) or "every metric is within its bounds", figures)

    def _look(self, rule: Rule, comparison: Comparison, figures: dict[str, float]) -> tuple[Verdict, str | None]:
        """Return what one metric comes to, and a sentence if there is something to say; add what it rests on."""
        name, canary, stable = rule.name, comparison.canary, comparison.stable
        sample = self._least if rule.metric.sample is None else rule.metric.sample(canary)
        if sample < self._least:
            return Verdict.INCONCLUSIVE, f"{name} is of {sample} so far, and has to be of {self._least}"
        value = rule.metric.read(canary)
        if value is None or not math.isfinite(value):
            return Verdict.INCONCLUSIVE, f"{name} was not measured"
        figures[name] = value
        beyond = Verdict.FAIL if rule.critical else Verdict.INCONCLUSIVE
        if rule.limit is not None:
            figures[f"{name}.limit"] = rule.limit
            if rule.is_beyond(value, rule.limit):
                return beyond, f"{name} is {value:.6g}, beyond its limit {rule.limit:.6g}"
        if not rule.relative:
            return Verdict.PASS, None
        if not stable.entities:
            if rule.limit is None:
                del figures[name]
            return Verdict.PASS, f"{name} is not held against stable, which has no entities"
        other = rule.metric.read(stable)
        if other is None or not math.isfinite(other):
            return Verdict.INCONCLUSIVE, f"{name} of stable was not measured"
        growth = max(1.0, canary.entities / stable.entities) if rule.metric.grows else 1.0
        bound = rule.beside(other, growth)
        figures[f"{name}.stable"], figures[f"{name}.bound"] = other, bound
        if not rule.is_beyond(value, bound):
            return Verdict.PASS, None
        return beyond, f"{name} is {value:.6g} and stable's {other:.6g}, which allows for {bound:.6g}"


def _rule(name: object, told: object) -> Rule:
    """Read one metric's table.

    Raises:
        ValueError: something in it makes no sense.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"metrics: {brief(name)} is no name of a metric, which is like `p99_ms`")
    path = f"metrics.{name}"
    if not isinstance(told, Mapping):
        raise ValueError(f"{path} must be a table, not {brief(told)}")
    known = ("better", "tolerance", "slack", "limit", "critical")
    for option in told:
        if option not in known:
            raise ValueError(f"{path}: there is no {brief(option)}, only {', '.join(known)}")
    better, critical = told.get("better", Better.LOWER), told.get("critical", False)
    if better not in list(Better):
        raise ValueError(f"{path}.better must be lower or higher, not {brief(better)}")
    if not isinstance(critical, bool):
        raise ValueError(f"{path}.critical must be true or false, not {brief(critical)}")
    tolerance, slack = (_number(path, told, each, 0.0) for each in ("tolerance", "slack"))
    limit = _number(path, told, "limit", -math.inf)
    if tolerance is None and slack is None and limit is None:
        raise ValueError(f"{path} needs a tolerance, a slack or a limit")
    return Rule(name, metric(name), Better(better), tolerance, slack, limit, critical)


def _number(path: str, told: Mapping[str, Any], option: str, low: float) -> float | None:
    if option not in told:
        return None
    value = told[option]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # To compare comes first: an integer may have more digits than a float takes.
    if not number or not max(low, -LARGEST) <= value <= LARGEST:
        least = "" if math.isinf(low) else f" of at least {low:g}"
        raise ValueError(f"{path}.{option} must be a finite number{least}, not {brief(value)}")
    return float(value)
