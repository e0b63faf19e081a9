"""Comparisons as judges are shown them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from packaging.version import Version

from grove_core.base.comparison import Comparison, Contest, Observed, Summary
from grove_core.base.histogram import Histogram


def contest(canary: int, stable: int, *, w: float = 0.1, trials: int = 10_000) -> Contest:
    """First failures on each side, of which each next one was the canary's with the probability `w`."""
    chance = canary * math.log(w) + stable * math.log1p(-w)
    return Contest(round(w * trials), canary, round((1 - w) * trials), stable, chance)


def alone(failures: int, trials: int) -> Contest:
    """First failures of a canary that has no stable beside it."""
    return Contest(trials, failures, 0, 0, 0.0)


def summary(mean: float, count: int = 1000) -> Summary:
    return Summary(count, mean * count, mean * mean * count, Histogram.of([mean] * count))


def observed(version: str, entities: int = 100, *, ms: float = 1.0, ticks: int = 1000, **changed: Any) -> Observed:
    """What a version did: with no errors, and 1 ms for each of 1,000 ticks, unless told otherwise."""
    told: dict[str, Any] = {
        "lost": 0,
        "calls": entities * ticks,
        "errors": 0,
        "durations": Histogram.of([ms] * ticks),
        "memory_bytes": 30 << 20,
        "values": {},
    }
    return Observed(Version(version), entities, ticks, **{**told, **changed})


def comparison(
    contests: Mapping[str, Contest] | None = None,
    canary: Observed | None = None,
    stable: Observed | None = None,
    parts: int = 1,
) -> Comparison:
    return Comparison(
        "ledger", canary or observed("2.0.0", 100), stable or observed("1.0.0", 900), 30.0, contests or {}, parts
    )
