"""The clock of frames: it times calls on the engine, and asks the kernel who had to wait for a processor.

Only the engine's calls are timed. What the scenario does for itself, its reference and its checks, is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grove_core.scenario.frames import Cause, Frame

if TYPE_CHECKING:
    from grove_core.base.records import TickReport


@dataclass(frozen=True)
class Share:
    """What a process had of the processors, in ns."""

    ran: int
    """How long it was on one."""
    waited: int
    """How long it was ready to run and had none."""

    def __sub__(self, earlier: Share) -> Share:
        return Share(self.ran - earlier.ran, self.waited - earlier.waited)


Shares = Mapping[int, Share]
"""Process id -> what it had since it began."""


class FrameClock:
    """Times calls, and puts them together into frames.

    Args:
        now: the monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._ms = 0.0
        self._last_ms = 0.0
        self._causes: set[Cause] = set()

    @contextmanager
    def call(self, *causes: Cause) -> Iterator[None]:
        """Time one call on the engine; `causes` are what it does."""
        self._causes.update(causes)
        began = self._now()
        try:
            yield
        finally:
            self._last_ms = (self._now() - began) * 1000
            self._ms += self._last_ms

    @property
    def last_ms(self) -> float:
        """How long the last call took."""
        return self._last_ms

    def end(self, second: float, report: TickReport, waited_ms: float | None) -> Frame:
        """End the frame whose tick was the last call, and begin the next.

        Args:
            second: the simulated time of the tick.
            report: the tick's.
            waited_ms: see `Frame`.
        """
        causes = self._causes | set(happened(report))
        in_order = tuple(cause for cause in Cause if cause in causes)
        frame = Frame(second, self._ms, self._last_ms, report.stages, in_order, waited_ms)
        self._ms = 0.0
        self._causes = set()
        return frame


def happened(report: TickReport) -> Iterator[Cause]:
    """Tell what a tick did besides ticking."""
    if report.faults or report.rollbacks:
        yield Cause.LOSS
    if any(rollback.reloaded for rollback in report.rollbacks):
        yield Cause.LOAD
    if report.collected:
        yield Cause.COLLECTION


def read_shares(pids: Iterable[int]) -> Shares:
    """Return what each process has had; one that is gone, or is not told of, is left out.

    The kernel tells it of a process's first thread, and that is where engine and workers compute.
    """
    shares = {}
    for pid in pids:
        try:
            ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_bytes().split()
            shares[pid] = Share(int(ran), int(waited))
        except (OSError, ValueError):
            continue
    return shares


def waited_ms(engine: int, tick_ms: float, before: Shares, after: Shares) -> float | None:
    """Return how long a tick was held up because processes had to wait for a processor, in ms.

    The engine works before and after its workers, so its own wait counts; of the workers, which work side by side,
    that of the one which was at it longest. The kernel counts a wait when it ends, also what of it lay before the
    tick: so no more is counted than the tick took beyond what these two computed. None if the engine is not told of.

    Args:
        engine: the engine's process id; all other processes are workers.
        tick_ms: how long the tick took.
        before: taken right before the tick.
        after: taken right after it. Who is not in both is not counted.
    """
    had = {pid: after[pid] - before[pid] for pid in before.keys() & after.keys()}
    own = had.pop(engine, None)
    if own is None:
        return None
    longest = max(had.values(), key=lambda share: share.ran + share.waited, default=Share(0, 0))
    beyond = tick_ms - (own.ran + longest.ran) / 1e6
    return max(0.0, min((own.waited + longest.waited) / 1e6, beyond))
