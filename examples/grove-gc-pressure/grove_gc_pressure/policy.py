"""The collection policy `pressure`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.version import Version

from grove_core.base.records import VersionUse
from grove_gc_pressure.measures import Measure


class Pressure:
    """Proposes the versions that were unused for longest, a few at a time, while memory is short.

    A version that stays loaded costs nothing while there is memory, and need not be loaded again for a rollback. What
    was proposed and is still there was held by somebody: the others have their turn before it is proposed again.

    Args:
        unused_threshold_seconds: how long a version must have been unused; from `enable_auto_gc`.
        above: the pressure, between 0 and 1, above which versions are proposed.
        measure: what is taken for the pressure, "used" or "stalled"; see `Measure`.
        at_once: how many versions are proposed in one tick, before the pressure is measured anew.
        root: the folder that holds `proc` and `sys`.

    Raises:
        ValueError: an option that means nothing, or pressure that cannot be read here.
        OSError: the same, where files are missing.
    """

    def __init__(
        self,
        unused_threshold_seconds: float,
        above: float = 0.8,
        measure: str = "used",
        at_once: int = 1,
        root: str | Path = "/",
    ) -> None:
        if not (math.isfinite(unused_threshold_seconds) and unused_threshold_seconds >= 0):
            raise ValueError(f"unused_threshold_seconds must be finite, at least 0, not {unused_threshold_seconds!r}")
        if not 0 <= above < 1:
            raise ValueError(f"above must be at least 0 and below 1, not {above!r}")
        if at_once < 1:
            raise ValueError(f"at_once must be at least 1, not {at_once!r}")
        self._threshold = unused_threshold_seconds
        self._above = above
        self._read = Measure(measure).read
        self._at_once = at_once
        self._root = Path(root)
        self._proposed: set[tuple[Version, float]] = set()
        self._read(self._root)  # what cannot be read is told now, not in a tick

    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        """Return the versions to unload. `now` is the injected clock's time, in seconds."""
        unused = sorted(
            (use.idle_since, use.version)
            for use in uses
            if use.idle_since is not None and now - use.idle_since >= self._threshold
        )
        if not unused or self._read(self._root) <= self._above:
            return []
        turn = [(version, since) for since, version in unused]
        self._proposed.intersection_update(turn)
        if len(self._proposed) == len(turn):
            self._proposed.clear()
        chosen = [each for each in turn if each not in self._proposed][: self._at_once]
        self._proposed.update(chosen)
        return [version for version, _ in chosen]
