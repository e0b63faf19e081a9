"""The fault policies that act at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.base.records import Fault, Role, VersionUse
from grove_core.parts.contracts import Decision, Pause, Restart, Rollback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version


class Immediate:
    """Rolls back on the first fault: to the stable version, or from it to the previous one.

    Where there is nowhere to go, the version is restarted; if it had no good tick since, the module pauses.
    """

    def decide(self, fault: Fault, uses: Sequence[VersionUse], previous: Version | None) -> Decision:
        """Return what is to be done. `previous` is the stable version before this one, loaded or not."""
        stable = next((use.version for use in uses if use.role is Role.STABLE), None)
        target = previous if fault.version == stable else stable
        if target is not None:
            return Rollback(target)
        restarted = any(use.version == fault.version and use.restarts > 0 for use in uses)
        return Pause() if restarted else Restart()


class AlwaysPause:
    """Pauses the module on every fault, so that somebody can look at it."""

    def decide(
        self,
        fault: Fault,
        uses: Sequence[VersionUse],
        previous: Version | None,
    ) -> Decision:
        """Return `Pause`, whatever happened."""
        return Pause()
