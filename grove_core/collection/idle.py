"""The default collection policy: what has been unused for long enough."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from grove_core.base.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.version import Version

    from grove_core.base.records import VersionUse


class Idle:
    """Proposes versions that have had neither weight nor entities for `unused_threshold_seconds`.

    Raises:
        InvalidInput: the threshold is negative or not finite.
    """

    def __init__(self, unused_threshold_seconds: float) -> None:
        if not (math.isfinite(unused_threshold_seconds) and unused_threshold_seconds >= 0):
            raise InvalidInput(
                f"unused_threshold_seconds must be finite and at least 0, not {unused_threshold_seconds!r}"
            )
        self._threshold = unused_threshold_seconds

    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        """Return the versions to unload. `now` is the injected clock's time, in seconds."""
        return [use.version for use in uses if use.idle_since is not None and now - use.idle_since >= self._threshold]
