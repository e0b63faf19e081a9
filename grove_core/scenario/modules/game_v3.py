"""Version 3 of the map of a game: too new for the first units."""

from __future__ import annotations

from grove_core.author.lens import Lens
from grove_core.scenario.modules import game_v1


class Map(game_v1.Map):
    """It counts by hundreds."""

    lenses = (*game_v1.LENSES, Lens("==2.*", "==3.*", []))
    step = 100
