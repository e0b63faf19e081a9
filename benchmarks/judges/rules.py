"""Rules that say when a canary has failed, over many runs at once: Grove's, and what others do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.judges.scenes import Counted

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

ALPHA = 0.05
LOOKS = 20
"""How often rules look that look once in a while."""
SAMPLE = 6
"""Mann-Whitney compares error rates over so many ticks each: tenths of a second."""
Z = 2.0537489106318225
"""The 98th percentile of the normal distribution: alpha is 0.02, one-sided."""
RIVALS_LIMIT = 0.05


class Rule(NamedTuple):
    """When a canary fails, by its name."""

    name: str
    fails: Callable[[Counted], Flags]
    """Returns where it says so: an array of shape (runs, ticks)."""


def log_evidence(canary: NDArray[np.int64], stable: NDArray[np.int64], log_chance: Floats) -> Floats:
    """Return for arrays of counts what `grove_core.judging.evidence.log_evidence` returns for one contest."""
    most = int((canary + stable).max()) + 1
    halves = np.concatenate([[0.0], np.cumsum(np.log(np.arange(most) + 0.5))])  # log gamma(n + 1/2) - log gamma(1/2)
    wholes = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])  # log gamma(n + 1)
    found: Floats = halves[canary] + halves[stable] - wholes[canary + stable] - log_chance
    return found


def first_failures(counted: Counted) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return the first failures on both sides up to each tick, and the log probability that they fell so."""
    scene, canary, stable = counted.scene, counted.canary_firsts, counted.stable_firsts
    ours, theirs = np.cumsum(canary, axis=1), np.cumsum(stable, axis=1)
    left = scene.canaries - ours + canary  # those who had not failed before this tick
    right = scene.entities - scene.canaries - theirs + stable
    with np.errstate(divide="ignore", invalid="ignore"):
        here = np.where(canary > 0, canary * np.log(left / (left + right)), 0.0)
        there = np.where(stable > 0, stable * np.log(right / (left + right)), 0.0)
    return ours, theirs, np.cumsum(here + there, axis=1)


def by_evidence(shares: int) -> Callable[[Counted], Flags]:
    """Fail by the judge `evidence`, looked at in every tick; alpha is shared out over so many contests."""

    def fails(counted: Counted) -> Flags:
        ours, theirs, chance = first_failures(counted)
        return _is_evidence(counted, ours, theirs, chance, shares)

    return fails


def by_evidence_of_all_calls(counted: Counted) -> Flags:
    """Fail by the same e-value, but over all calls, as if those of one entity did not depend on each other."""
    ours, theirs = np.cumsum(counted.canary, axis=1), np.cumsum(counted.stable, axis=1)
    w = counted.scene.canaries / counted.scene.entities
    return _is_evidence(counted, ours, theirs, ours * math.log(w) + theirs * math.log(1 - w), 1)


def _is_evidence(
    counted: Counted, ours: NDArray[np.int64], theirs: NDArray[np.int64], chance: Floats, shares: int
) -> Flags:
    others = counted.scene.entities - counted.scene.canaries
    enough = log_evidence(ours, theirs, chance) >= math.log(shares / ALPHA)
    return enough & (ours * others > theirs * counted.scene.canaries)


def by_threshold(counted: Counted) -> Flags:
    """Fail by the judge `threshold`: over 5% of all calls since the step began, of at least 60, in every tick."""
    calls = counted.scene.canaries * np.arange(1, counted.scene.ticks + 1)
    flags: Flags = (np.cumsum(counted.canary, axis=1) > RIVALS_LIMIT * calls) & (calls >= 60)
    return flags


def by_latest_calls(counted: Counted) -> Flags:
    """Fail over 5% of the latest 100 calls, of at least 20, in every tick."""
    ticks, canaries = counted.scene.ticks, counted.scene.canaries
    window = max(1, 100 // canaries)
    total = np.cumsum(counted.canary, axis=1)
    before = np.concatenate([np.zeros((len(total), window), np.int64), total[:, :-window]], axis=1)
    calls = canaries * np.minimum(np.arange(1, ticks + 1), window)
    flags: Flags = (total - before > RIVALS_LIMIT * calls) & (calls >= 20)
    return flags


def by_ratio(counted: Counted) -> Flags:
    """Fail if the canary's error rate is over 1.5 times stable's, at 20 looks."""
    scene = counted.scene
    ours, theirs = np.cumsum(counted.canary, axis=1), np.cumsum(counted.stable, axis=1)
    flags = np.zeros(ours.shape, np.bool_)
    at = _looks(scene.ticks)
    flags[:, at] = (ours * (scene.entities - scene.canaries) > 1.5 * theirs * scene.canaries)[:, at]
    return flags


def by_mann_whitney(counted: Counted) -> Flags:
    """Fail if error rates of a tenth of a second each are higher, by the U test with alpha 0.02, at 20 looks."""
    scene = counted.scene
    runs, samples = len(counted.canary), scene.ticks // SAMPLE

    def rates(errors: NDArray[np.int64], others: int) -> NDArray[np.int64]:
        # Over a common denominator, so that equal rates are equal numbers.
        summed: NDArray[np.int64] = errors[:, : samples * SAMPLE].reshape(runs, samples, SAMPLE).sum(axis=2)
        return summed * others

    ours = rates(counted.canary, scene.entities - scene.canaries)
    theirs = rates(counted.stable, scene.canaries)
    flags = np.zeros(counted.canary.shape, np.bool_)
    for at in _looks(scene.ticks):
        seen = (at + 1) // SAMPLE
        flags[:, at] = u_test(ours[:, :seen], theirs[:, :seen]) > Z
    return flags


def u_test(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> Floats:
    """Return, for each row, how many standard deviations ours rank too high: the normal approximation, with ties."""
    rows, n = ours.shape
    pooled = np.concatenate([ours, theirs], axis=1)
    size = pooled.shape[1]
    order = np.argsort(pooled, axis=1, kind="stable")
    ordered = np.take_along_axis(pooled, order, axis=1)
    begins = np.concatenate([np.ones((rows, 1), np.bool_), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    group = np.cumsum(begins.ravel()) - 1  # a new one begins with each row
    ties = np.bincount(group)
    first = np.flatnonzero(begins.ravel()) % size
    ranks = np.empty(pooled.shape)
    np.put_along_axis(ranks, order, (first + (ties + 1) / 2)[group].reshape(pooled.shape), axis=1)
    u = ranks[:, :n].sum(axis=1) - n * (n + 1) / 2
    other = size - n
    tied = np.bincount(np.flatnonzero(begins.ravel()) // size, weights=ties.astype(np.float64) ** 3 - ties)
    variance = n * other / 12 * (size + 1 - tied / (size * (size - 1)))
    deviations: Floats = (u - n * other / 2) / np.sqrt(np.maximum(variance, 1e-9))
    return deviations


def _looks(ticks: int) -> NDArray[np.int64]:
    return np.arange(1, LOOKS + 1) * ticks // LOOKS - 1


RULES = (
    Rule("evidence", by_evidence(1)),
    Rule("evidence, 1 of 8 contests", by_evidence(8)),
    Rule("evidence over all calls", by_evidence_of_all_calls),
    Rule("threshold: over 5% since the step began", by_threshold),
    Rule("over 5% of the latest 100 calls", by_latest_calls),
    Rule("over 1.5 times stable's rate, 20 looks", by_ratio),
    Rule("Mann-Whitney, alpha 0.02, 20 looks", by_mann_whitney),
)
"""A rollout of four steps with two contests each has eight."""
