"""Evidence that a version fails too often, which may be looked at after every tick.

For each of some alternative error rates above the limit, the likelihood ratio of what came against the limit is
multiplied up, and never falls below 1: a CUSUM of e-values. Their mean is an e-detector (Shin, Ramdas and Rinaldo,
"E-detectors", 2022, arXiv 2203.03532): for a version that fails no more often than the limit, the expected number of
trials until it reaches `patience` is at least `patience`. It forgets good times at once, so that a version that worked
for a week is found out as fast as a new one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.base.health import Health
from grove_core.base.records import VersionUse

STEPS = 8
"""How many alternatives there are between the limit and 1."""


class Detector:
    """Looks at a run of trials, each of which fails or not, as they come."""

    def __init__(self, limit: float) -> None:
        odds = math.log(limit / (1 - limit)) + np.linspace(0.5, 0.5 + 0.75 * (STEPS - 1), STEPS)
        rates = 1 / (1 + np.exp(-odds))
        self._failure: NDArray[np.float64] = np.log(rates / limit)
        self._success: NDArray[np.float64] = np.log((1 - rates) / (1 - limit))
        self._evidence = np.zeros(STEPS)

    @property
    def value(self) -> float:
        """The logarithm of the evidence."""
        highest = float(self._evidence.max())
        return highest + math.log(float(np.exp(self._evidence - highest).mean()))

    def look(self, before: int, trials: int, failures: int) -> None:
        """Take in what came since the last look.

        Args:
            before: trials that came one after the other, and were all good.
            trials: those after them, all at once.
            failures: those of `trials` that failed.
        """
        self._evidence = np.maximum(self._evidence + before * self._success, 0.0)
        self._evidence += failures * self._failure + (trials - failures) * self._success


@dataclass
class _Followed:
    """What is known of one version, up to the totals that were looked at."""

    seen: Health
    entities: Detector
    ticks: Detector


class Evidence:
    """Follows each version's totals, entities and whole ticks by themselves, and tells once there is evidence.

    Args:
        limit: the error rate that is borne.
        patience: a version exactly at the limit is taken for a bad one once in so many trials at most; at 2%, with a
            limit of 5%, practically never. More of it finds bad ones later: of 100,000, a rate of 10% takes 560 trials
            in the median, 20% takes 80, 50% takes 14.

    Raises:
        ValueError: `patience` is below 1.
    """

    def __init__(self, limit: float, patience: float) -> None:
        if not patience >= 1:
            raise ValueError(f"patience must be at least 1, not {patience!r}")
        self._limit = limit
        self._threshold = math.log(2 * patience)  # two detectors share it
        self._followed: dict[tuple[str, Version], _Followed] = {}

    def why_over(self, use: VersionUse) -> str | None:
        """Return how it is over the limit, in words, or None."""
        health, key = use.health, (use.module, use.version)
        known = self._followed.get(key)
        if known is None or health.ticks < known.seen.ticks:  # it was loaded anew
            known = self._followed[key] = _Followed(Health(), Detector(self._limit), Detector(self._limit))
        seen, known.seen = known.seen, health
        if health.ticks > seen.ticks:
            lost = health.lost - seen.lost
            known.ticks.look(health.ticks - seen.ticks - 1, 1, lost)
            now = 0 if lost else health.last_trials
            known.entities.look(health.trials - seen.trials - now, now, health.firsts - seen.firsts)
        entities, ticks = known.entities.value, known.ticks.value
        if max(entities, ticks) < self._threshold:
            return None
        failed, of, what = health.firsts, health.trials, "trials of entities"
        if ticks > entities:
            failed, of, what = health.lost, health.ticks, "ticks"
        return (
            f"{failed} of {of} {what} failed since it was loaded; lately it is e^{max(entities, ticks):.1f} times "
            f"as likely by an error rate above {self._limit:.3g} as by that one"
        )
