"""Frames: what the engine did from the end of one tick to the end of the next, how long it took, and why.

Plain values, and pure functions over them; `frame_clock` takes the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from grove_core.base.ticks import Stage

WORST = 5
"""How many of the worst frames are shown."""


class Cause(StrEnum):
    """What may happen in a frame besides its tick; several of them may."""

    LOAD = "load"
    """A version was loaded, by a call or by a rollback."""
    SPAWN = "spawn"
    """Entities were born."""
    SPLIT = "split"
    """Entities were shared out anew, and moved."""
    LOSS = "loss"
    """A version was lost to a fault; its entities went elsewhere and caught up."""
    COLLECTION = "collection"
    """A version that nobody used was unloaded."""


@dataclass(frozen=True)
class Frame:
    """One frame: its tick, and the calls between the last tick and this one."""

    second: float
    """The simulated time of its tick."""
    ms: float
    """All calls on the engine, the tick included."""
    tick_ms: float
    """The tick alone."""
    stages: Mapping[Stage, float]
    """The stages of the tick, in ms."""
    causes: tuple[Cause, ...] = ()
    """What happened in it, in the order of `Cause`; nothing in most."""
    waited_ms: float | None = None
    """How long its tick was held up because the engine or a worker was ready to run and had no processor. None
    where the system does not tell."""

    @property
    def own_ms(self) -> float:
        """What it took apart from that: what it takes on a machine that does nothing else."""
        return max(0.0, self.ms - (self.waited_ms or 0.0))

    @property
    def own_tick_ms(self) -> float:
        """What its tick took apart from that."""
        return max(0.0, self.tick_ms - (self.waited_ms or 0.0))

    @property
    def ordinary(self) -> bool:
        """Whether no version was loaded or lost in it: the budgets are for such frames."""
        return Cause.LOAD not in self.causes and Cause.LOSS not in self.causes


@dataclass(frozen=True)
class Spread:
    """How long some frames took, in ms."""

    count: int
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Spread | None:
        """Compute it; None of no frames."""
        return cls.of_ms([frame.ms for frame in frames])

    @classmethod
    def of_own(cls, frames: Iterable[Frame]) -> Spread | None:
        """Compute it of what frames took apart from waits for a processor; None of no frames."""
        return cls.of_ms([frame.own_ms for frame in frames])

    @classmethod
    def of_ms(cls, ms: Sequence[float]) -> Spread | None:
        """Compute it of plain figures; None of none."""
        if not ms:
            return None
        p50, p99 = np.percentile(ms, (50, 99))
        return cls(len(ms), float(p50), float(p99), max(ms))


def ordinary(frames: Iterable[Frame]) -> list[Frame]:
    """Return the frames in which no version was loaded or lost."""
    return [frame for frame in frames if frame.ordinary]


def loads_and_losses(frames: Iterable[Frame]) -> list[Frame]:
    """Return the other frames, in their order."""
    return [frame for frame in frames if not frame.ordinary]


def worst(frames: Iterable[Frame], count: int = WORST) -> list[Frame]:
    """Return the longest frames, the longest first; of equals the earlier one."""
    return sorted(frames, key=lambda frame: -frame.ms)[:count]


def over(frames: Iterable[Frame], ms: float) -> tuple[int, int]:
    """Count the frames that took `ms` or longer, and those that did without their waits."""
    each = list(frames)
    return sum(frame.ms >= ms for frame in each), sum(frame.own_ms >= ms for frame in each)


def by_cause(frames: Sequence[Frame]) -> dict[Cause | None, Spread]:
    """Return how long frames took by what happened in them, None being nothing.

    A frame with several causes is among those of each; a cause that no frame has is left out.
    """
    groups: dict[Cause | None, list[Frame]] = {None: [frame for frame in frames if not frame.causes]}
    groups |= {cause: [frame for frame in frames if cause in frame.causes] for cause in Cause}
    return {cause: spread for cause, group in groups.items() if (spread := Spread.of(group)) is not None}
