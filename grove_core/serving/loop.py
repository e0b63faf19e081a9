"""A loop that ticks an engine at a fixed rate, and says which frames it missed."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from grove_core.base.records import TickReport

LATEST = 4096
"""Of how many ticks the durations are kept."""


class Ticked(Protocol):
    """What is ticked: an engine."""

    def tick(self, dt: float) -> TickReport:
        """Advance by `dt` seconds."""
        ...


@dataclass(frozen=True)
class LoopReport:
    """What a loop came to."""

    ticks: int
    missed: int
    """Frames whose time had passed before they could begin; they were left out."""
    faults: int
    seconds: float
    p50_ms: float | None
    p99_ms: float | None
    """Of the latest 4,096 ticks; None before the first."""

    def __str__(self) -> str:
        told = f"{self.ticks:,} ticks in {self.seconds:,.1f} s, {self.missed:,} frames missed, {self.faults:,} faults"
        return told if self.p50_ms is None else f"{told}; a tick took {self.p50_ms:.3f} ms, p99 {self.p99_ms:.3f} ms"


class Loop:
    """Ticks at a fixed rate until it is stopped: each tick advances by one frame, whenever it comes.

    A frame whose time is over before it can begin is missed: it is left out and counted, so that a slow tick does not
    make those after it hurry.

    Args:
        engine: what is ticked.
        rate: ticks a second.
    """

    def __init__(self, engine: Ticked, rate: float) -> None:
        self._engine, self._dt = engine, 1 / rate
        self.rate = rate
        self._stop = threading.Event()
        self._durations: deque[float] = deque(maxlen=LATEST)
        self.ticks = self.missed = self.faults = 0

    def stop(self) -> None:
        """End it after the tick that is on; from a signal's handler, or another thread."""
        self._stop.set()

    def run(self, ticks: int | None = None) -> LoopReport:
        """Tick until it is stopped, or so often."""
        began = due = time.perf_counter()
        while not self._stop.is_set() and (ticks is None or self.ticks < ticks):
            now = time.perf_counter()
            if due > now and self._stop.wait(due - now):
                break
            report = self._engine.tick(self._dt)
            self.ticks += 1
            self.faults += len(report.faults)
            self._durations.append(report.ms)
            due = self._next(due)
        return self.report(time.perf_counter() - began)

    def _next(self, due: float) -> float:
        """Return when the next frame is due; those whose time is over are missed."""
        late = int(max(0.0, time.perf_counter() - due - self._dt) / self._dt)
        self.missed += late
        return due + (late + 1) * self._dt

    def report(self, seconds: float) -> LoopReport:
        """Return what it came to so far."""
        p50, p99 = np.percentile(self._durations, [50, 99]) if self._durations else (None, None)
        return LoopReport(
            self.ticks,
            self.missed,
            self.faults,
            seconds,
            None if p50 is None else float(p50),
            None if p99 is None else float(p99),
        )
