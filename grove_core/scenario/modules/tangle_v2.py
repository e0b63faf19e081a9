"""Version 2 of some modules whose needs are hard to meet."""

from __future__ import annotations

from grove_core.scenario.modules.game_v1 import Piece


class Clock(Piece):
    """Another one, by which the economy does not go."""


class Weather(Piece):
    """It goes by the new clock."""

    needs = ("clock>=2",)


class Campaign(Piece):
    """It wants the newest weather."""

    needs = ("weather>=2", "economy")
