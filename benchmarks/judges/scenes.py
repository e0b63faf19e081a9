"""Canaries beside stable, as counts of errors in each tick: many runs at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HERTZ = 60
TICKS = 30 * HERTZ
"""How long a step is watched."""
SHARE = 0.1
"""The canary's part of the entities."""
OWN = 0.5
"""Where entities have rates of their own these are drawn from Beta(OWN, b): their deviation is 1.4 times their mean."""
BATCH = 50
"""So many runs are drawn at once."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Scene:
    """A canary beside stable: each entity is called once a tick, and keeps its version."""

    stable: float
    """The error rate of stable's calls."""
    canary: float
    own: bool
    """Whether entities have rates of their own, of which these are the means; a bad canary multiplies each."""
    entities: int = 1000
    ticks: int = TICKS

    @property
    def canaries(self) -> int:
        """How many entities the canary has."""
        return round(SHARE * self.entities)

    @property
    def healthy(self) -> bool:
        """Whether the canary is no worse."""
        return self.canary <= self.stable

    @property
    def name(self) -> str:
        """What is compared with what."""
        return f"{100 * self.stable:g}% beside {100 * self.canary:g}%"


@dataclass(frozen=True)
class Counted:
    """What was counted in each run and tick: arrays of shape (runs, ticks)."""

    scene: Scene
    canary: Counts
    """Errors of the canary's calls."""
    stable: Counts
    canary_firsts: Counts
    """The canary's entities that failed for the first time."""
    stable_firsts: Counts


def simulate(scene: Scene, runs: int, seed: int) -> Counted:
    """Draw some runs of a scene; the same seed gives the same ones."""
    generator = np.random.default_rng(seed)
    sizes = [min(BATCH, runs - start) for start in range(0, runs, BATCH)]
    batches = [tuple(_batch(scene, size, generator)) for size in sizes]
    return Counted(scene, *(np.concatenate(each) for each in zip(*batches, strict=True)))


def _batch(scene: Scene, runs: int, generator: np.random.Generator) -> Iterator[Counts]:
    """Yield canary, stable, and the first failures of both."""
    stable = _rates(scene, runs, scene.entities - scene.canaries, generator)
    canary = np.minimum(1.0, _rates(scene, runs, scene.canaries, generator) * scene.canary / scene.stable)
    drawn = [_errors(rates, scene.ticks, generator) for rates in (canary, stable)]
    yield from (every for every, _ in drawn)
    yield from (firsts for _, firsts in drawn)


def _rates(scene: Scene, runs: int, entities: int, generator: np.random.Generator) -> NDArray[np.float64]:
    if scene.own:
        return generator.beta(OWN, OWN * (1 - scene.stable) / scene.stable, (runs, entities))
    return np.full((runs, entities), scene.stable)


def _errors(rates: NDArray[np.float64], ticks: int, generator: np.random.Generator) -> tuple[Counts, Counts]:
    """Return how many calls failed in each run and tick, and how many entities for the first time.

    From one failure to the next of the same entity it is a geometric number of ticks.
    """
    runs = len(rates)
    run = np.repeat(np.arange(runs), rates.shape[1])
    rate = np.maximum(rates.ravel(), 1e-12)
    at = np.full(len(rate), -1.0)
    fell: list[Counts] = []
    while len(at):
        at = at + generator.geometric(rate)
        still = at < ticks
        run, rate, at = run[still], rate[still], at[still]
        fell.append(run * ticks + at.astype(np.int64))
    firsts = np.bincount(fell[0], minlength=runs * ticks).reshape(runs, ticks)
    every = np.bincount(np.concatenate(fell), minlength=runs * ticks).reshape(runs, ticks)
    return every, firsts
