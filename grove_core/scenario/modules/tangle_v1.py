"""Version 1 of modules whose needs are hard to meet, or cannot be met."""

from __future__ import annotations

from grove_core.scenario.modules.game_v1 import Piece


class Rain(Piece):
    """It falls into rivers."""

    needs = ("river",)


class River(Piece):
    """It flows into the sea."""

    needs = ("sea>=1",)


class Sea(Piece):
    """It becomes rain."""

    needs = ("rain",)


class Replay(Piece):
    """It needs what nobody has."""

    needs = ("recorder>=1.2",)


class Clock(Piece):
    """What both weather and economy go by."""


class Weather(Piece):
    """Any clock will do."""

    needs = ("clock>=1",)


class Economy(Piece):
    """It goes by the old clock."""

    needs = ("clock<2",)


class Campaign(Piece):
    """It has weather and economy."""

    needs = ("weather", "economy")
