"""The version that a spare worker rehearses with: it does what versions commonly do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grove_core.author.lens import Add, Lens
from grove_core.author.module import Module
from grove_core.author.schema import Column, Schema

__all__ = ["HIGH", "Rehearsed"]

HIGH = 1000.0
"""The field's upper bound on both axes."""


class Rehearsed(Module):
    """Points move, and those outside are counted and lose mass."""

    schema = Schema(
        x="f4", y="f4", vx="f4", vy="f4", outside="?", hits="i4", mass=Column("f8", default=1.0), constant=("vx", "vy")
    )
    lenses = (Lens("==1.*", "==2.*", [Add("outside")]),)

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take `high`."""
        self._high = float(config.get("high", HIGH))

    def process(self, dt: float) -> None:
        """Use numpy in place, by comparison and by mask."""
        e = self.entities
        e.x += e.vx * dt
        np.add(e.y, e.vy * dt, out=e.y)
        e.outside = (e.x < 0.0) | (e.x > self._high) | (e.y < 0.0) | (e.y > self._high)
        e.hits[np.flatnonzero(e.outside)] += 1
        np.maximum(e.mass - np.where(e.outside, dt, 0.0), 0.0, out=e.mass)
