"""How a series is sampled: for a limited time, and together with what it is compared with."""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.figures import Samples, Series

BURST = 8
BURST_SECONDS = 0.02
"""How often, and how long, one of several rounds runs before it is the next one's turn."""

Round = Callable[[], Mapping[Series, float]]
"""Does something once, and returns what it measured."""


@dataclass(frozen=True)
class Box:
    """How long something is measured: `seconds`, but at least `least` times and at most `most` times."""

    seconds: float
    least: int = 2
    most: int = 2000


def nothing() -> None:
    """Do nothing."""


def clocked(
    series: Series,
    action: Callable[[], object],
    *,
    before: Callable[[], object] = nothing,
    after: Callable[[], object] = nothing,
) -> Round:
    """Return a round that takes the time of `action` in milliseconds, but not that of what is done before and after."""

    def once() -> Mapping[Series, float]:
        before()
        began = time.perf_counter_ns()
        action()
        ms = (time.perf_counter_ns() - began) / 1e6
        after()
        return {series: ms}

    return once


def together(*rounds: Round) -> Round:
    """Return a round that runs these, always one after the other."""

    def once() -> Mapping[Series, float]:
        return {series: value for each in rounds for series, value in each().items()}

    return once


def sample(box: Box, *rounds: Round) -> dict[Series, Samples]:
    """Run rounds in turn until the box is full, so that what disturbs one of them disturbs all.

    Each runs once before, to warm up. Several rounds take turns in bursts, and the first run of a burst is not
    counted: what ran before it had the caches to itself. The collector of Python is on, and has nothing left to
    do at the start.
    """
    taken: dict[Series, list[float]] = defaultdict(list)
    for once in rounds:
        once()
    gc.collect()
    alone, fewest = len(rounds) == 1, 0
    end = time.perf_counter() + box.seconds
    while fewest < box.least or (fewest < box.most and time.perf_counter() < end):
        for once in rounds:
            if not alone:
                once()
            for reading in [once()] if alone else _burst(once):
                for series, value in reading.items():
                    taken[series].append(value)
        fewest = min(map(len, taken.values()))
    return {series: np.array(values) for series, values in taken.items()}


def _burst(once: Round) -> Iterator[Mapping[Series, float]]:
    end = time.perf_counter() + BURST_SECONDS
    for _ in range(BURST):
        yield once()
        if time.perf_counter() > end:
            return
