"""gamelogic, version 3: mass, gravity, and entities that come close to each other are marked."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gamelogic_v3.by_numba import compiled
from gamelogic_v3.by_numpy import NUMPY
from gamelogic_v3.pairs import Remembering
from grove_core import Add, Column, Lens, Module, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gamelogic_v3.pairs import HasNeighbour

__all__ = ["BLOCK", "GRAVITY", "HIGH", "LOW", "RADIUS", "Among", "GameLogic", "Pairs"]

Choice = TypeVar("Choice", bound=StrEnum)

LOW, HIGH = 0.0, 1000.0
"""The field's bounds on both axes; they lie inside it."""
GRAVITY = 9.8
"""What is added to `vy` in a second."""
RADIUS = 0.5
"""Entities closer than this collide, unless the configuration says otherwise."""
BLOCK = 1 << 16
"""How many rows are worked on at once, so that what one operation wrote is in the cache for the next."""


class Pairs(StrEnum):
    """What the configuration's `pairs` may be: how close entities are searched for."""

    NUMPY = "numpy"
    NUMBA = "numba"
    """Twice as fast, and compiled for some 0.7 s before the version is ready."""


class Among(StrEnum):
    """What the configuration's `among` may be: whom an entity can collide with."""

    OWN = "own"
    """Entities of this version, where they are after this tick's move."""
    WORLD = "world"
    """Entities of every version, where the last tick left them; so it does not depend on the split."""


class GameLogic(Module):
    """Gravity, the move, then `collided`, all in float32 and in place.

    `vy += float32(9.8 * dt)`; `x += vx * float32(dt)`; `y += vy * float32(dt)`; `collided`: x or y lies
    outside [0, 1000], or another entity has `dx*dx + dy*dy < r*r` with `r = float32(radius)`; see `Among`.
    """

    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", collided="?", mass=Column("f4", default=1.0), constant=("vx",))
    lenses = (Lens("==2.*", "==3.*", [Add("mass")]),)

    def __init__(self) -> None:
        self._radius = RADIUS
        self._has_neighbour: HasNeighbour = Remembering(NUMPY)
        self._among = Among.OWN
        self._steps = np.empty(BLOCK, np.float32)
        self._beyond = np.empty(BLOCK, np.bool_)

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take `radius`, `pairs` and `among`.

        Raises:
            ValueError: `radius` is no number, not finite in float32, or negative; `pairs` is not one of `Pairs`, or
                `among` not one of `Among`.
            ImportError: `pairs` is `numba`, which cannot be imported.
        """
        self._radius = _checked(config.get("radius", RADIUS))
        self._has_neighbour = _search(_one_of(Pairs, config, "pairs", Pairs.NUMPY))
        self._among = _one_of(Among, config, "among", Among.OWN)

    def process(self, dt: float) -> None:
        """Advance every entity by `dt` seconds, and mark those that collide now."""
        e = self.entities
        collided = e.collided
        collided[...] = False
        e.vy += GRAVITY * dt
        for position, speed in ((e.x, e.vx), (e.y, e.vy)):
            for start in range(0, len(e), BLOCK):
                rows = slice(start, start + BLOCK)
                block, mark = position[rows], collided[rows]
                step, beyond = self._steps[: len(block)], self._beyond[: len(block)]
                np.multiply(speed[rows], dt, out=step)
                np.add(block, step, out=block)
                mark |= np.less(block, LOW, out=beyond)
                mark |= np.greater(block, HIGH, out=beyond)
        if self._among is Among.OWN:
            collided |= self._has_neighbour(e.x, e.y, self._radius)
        else:
            world = self.world
            collided |= self._has_neighbour(world.x, world.y, self._radius)[world.own]


def _checked(radius: object) -> float:
    number = isinstance(radius, int | float) and not isinstance(radius, bool)
    if not (number and 0 <= radius <= float(np.finfo(np.float32).max)):  # type: ignore[operator]
        raise ValueError(f"the configuration's radius must be a finite float32 of at least 0, not {radius!r}")
    return float(radius)  # type: ignore[arg-type]


def _one_of(choices: type[Choice], config: Mapping[str, Any], name: str, default: Choice) -> Choice:
    chosen = config.get(name, default)
    if chosen not in list(choices):
        raise ValueError(f"the configuration's {name} must be one of {', '.join(choices)}, not {chosen!r}")
    return choices(chosen)


def _search(pairs: Pairs) -> HasNeighbour:
    if pairs is Pairs.NUMPY:
        return Remembering(NUMPY)
    try:
        return compiled()  # which sorts so fast that to remember an order takes longer
    except ImportError as error:
        raise ImportError(
            f"the configuration's pairs is numba, and numba cannot be imported: {error}; "
            "`pip install grove-gamelogic-v3[numba]`, or set pairs to numpy"
        ) from error
