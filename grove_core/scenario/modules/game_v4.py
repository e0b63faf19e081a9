"""Version 4 of the map of a game: it needs what needs it."""

from __future__ import annotations

from grove_core.scenario.modules import game_v1


class Map(game_v1.Map):
    """It asks the AI where hills should be."""

    lenses = game_v1.LENSES
    needs = ("ai>=1",)
