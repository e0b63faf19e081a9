"""What the three modules of a battle have in common: a count of their ticks, and a service that tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from packaging.version import Version

from grove_core.author.module import Module
from grove_core.author.schema import Array
from grove_core.author.services import service


class Part(Module):
    """Counts its ticks in a document and in each entity, and tells those that need it of the latter."""

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Begin with none."""
        self._ticks = 0

    def get_state(self) -> dict[str, int]:
        """Return how many ticks this version had, and those from whose document it went on."""
        return {"ticks": self._ticks}

    def set_state(self, document: Mapping[str, int]) -> None:
        """Go on from there."""
        self._ticks = document["ticks"]

    def migrate_state_from(self, from_version: str, state: Mapping[str, int]) -> bool:
        """Go on from any version's."""
        self.set_state(state)
        return True

    def begin(self) -> None:
        """Count the tick, but for one that rows redo."""
        self.entities.ticks += 1
        if not self.catching_up:
            self._ticks += 1
            self.mark_state_changed()

    @service
    def had(self, ids: Array) -> tuple[Array, Array]:
        """Return how many ticks each of these entities has had, and the major number of the version that says so."""
        return self.entities.ticks, np.full(len(ids), Version(self.get_version()).major)
