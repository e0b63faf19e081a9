"""Version 2 of the modules of a game."""

from __future__ import annotations

from grove_core.scenario.modules import game_v1


class Map(game_v1.Map):
    """It counts by tens."""

    lenses = game_v1.LENSES
    step = 10


class Units(game_v1.Units):
    """They need a newer map."""

    lenses = game_v1.LENSES
    needs = ("map>=2,<4",)
    step = 10


class Ai(game_v1.Ai):
    """It needs newer units."""

    lenses = game_v1.LENSES
    needs = ("units>=2,<3", "map")
    step = 10
