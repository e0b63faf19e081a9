"""Version 1 of the module `archive`: much state, and little to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grove_core.author.module import Module
from grove_core.author.schema import Schema

READINGS = tuple(f"r{number:02}" for number in range(14))
"""The columns; with its id an entity has 120 bytes."""


class Archive(Module):
    """Counts the first of 14 readings up.

    Its configuration: `hoard`, how many bytes of memory it takes besides, and keeps; none if it is not there.
    """

    schema = Schema(**dict.fromkeys(READINGS, "f8"))
    step = 1.0

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take the memory, and write to all of it."""
        self._hoard = np.ones(config.get("hoard", 0), np.uint8)

    def process(self, dt: float) -> None:
        """Count up."""
        self.entities.r00 += self.step
