"""What every case is told, and how it gets its engine and its entities."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import Box
from benchmarks.rivals.erlang import Erlang
from grove_core import DebugEngine, Settings
from grove_core.base.records import TickReport
from grove_core.base.versions import Requirement

GAMELOGIC = "gamelogic"
DT = 1 / 60
SPARE_SECONDS = 0.05
"""How long the zygote is given to fork the next spare; it lets a frame pass before."""
Weights = Mapping[Requirement, float]
MOVED = 0.2
"""The share of entities that moves in the cases about moves."""


@dataclass(frozen=True)
class Plan:
    """One visit of every case. A run is made of several, far apart, each with engines of its own.

    Args:
        sizes: populations, ascending.
        box: for what is ours, with memcpy and numpy beside it.
        rival_box: for plain Python and Erlang; None in all visits but one.
        frames: how many ticks are paced.
        folder: where packages may be written; a folder each.
        erlang: None where it is not installed.
    """

    sizes: tuple[int, ...]
    box: Box
    rival_box: Box | None
    frames: int
    folder: Path
    erlang: Erlang | None

    @property
    def long_box(self) -> Box:
        """For what needs much that is not timed around what is."""
        return replace(self.box, seconds=5 * self.box.seconds)


@contextlib.contextmanager
def open_engine(**chosen: Any) -> Iterator[DebugEngine]:
    """Open an engine whose deadlines no slow machine reaches; `chosen` are further settings."""
    with DebugEngine(Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, **chosen)) as engine:
        yield engine


def good_tick(engine: DebugEngine) -> TickReport:
    """Tick; a fault that nobody meant to happen ends the benchmark.

    Raises:
        RuntimeError: a version faulted.
    """
    report = engine.tick(DT)
    if report.faults:
        raise RuntimeError(f"{report.faults[0].version} of {report.faults[0].module}: {report.faults[0].message}")
    return report


def population(entities: int) -> Mapping[str, NDArray[np.float32]]:
    """Return the columns of gamelogic 1: positions all over the field, and slow."""
    random = np.random.default_rng(1)
    high = {"x": 1000, "y": 1000, "vx": 1, "vy": 1}
    return {name: random.uniform(0, limit, entities).astype(np.float32) for name, limit in high.items()}
