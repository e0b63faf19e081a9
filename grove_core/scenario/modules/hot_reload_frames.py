"""The frames of `hot-reload`: how long they took, and how long those who work for them had no processor."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grove_core.scenario.frame_clock import Shares, read_shares, waited_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grove_core.scenario.frames import Frame


@dataclass
class Frames:
    """How long frames took: no more is kept of them, for memory is measured."""

    ms: array[float] = field(default_factory=lambda: array("d"))
    own_ms: array[float] = field(default_factory=lambda: array("d"))
    """Without waits for a processor."""

    def add(self, frame: Frame) -> None:
        """Take a frame's times."""
        self.ms.append(frame.ms)
        self.own_ms.append(frame.own_ms)

    def over(self, ms: float) -> tuple[int, int]:
        """Count those that took so long or longer, and those that did without their waits."""
        return sum(each >= ms for each in self.ms), sum(each >= ms for each in self.own_ms)


class Waits:
    """How long a frame is held up because somebody who works for it has no processor, from now on.

    Args:
        pids: the engine's process, and its workers'.
        patcher: the thread that may have the turn meanwhile, if there is one.
    """

    def __init__(self, pids: Sequence[int], patcher: int | None) -> None:
        self._pids, self._patcher = pids, patcher
        self._before = self._shares()

    def ms(self, frame_ms: float) -> float | None:
        """Return it for a frame that took so long, in ms; None where the system does not tell."""
        after = self._shares()
        waited = waited_ms(self._pids[0], frame_ms, self._own(self._before), self._own(after))
        if waited is None or self._patcher is None or not (self._patcher in self._before and self._patcher in after):
            return waited
        return min(frame_ms, waited + (after[self._patcher] - self._before[self._patcher]).waited / 1e6)

    def _own(self, shares: Shares) -> Shares:
        return {pid: share for pid, share in shares.items() if pid != self._patcher}

    def _shares(self) -> Shares:
        return read_shares(self._pids if self._patcher is None else (*self._pids, self._patcher))
