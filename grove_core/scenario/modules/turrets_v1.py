"""Version 1 of the module `turrets`: what it does in every tick tells with which config it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from grove_core.author.module import Module
from grove_core.author.schema import Schema
from grove_core.scenario.modules.slate import checksum


class Barrel(msgspec.Struct):
    """One kind of barrel, which every turret has."""

    caliber: Annotated[int, Meta(ge=1, le=200)] = 20
    spread: Annotated[float, Meta(ge=0, le=1)] = 0.125


class Born(msgspec.Struct):
    """What a turret is built with."""

    health: Annotated[int, Meta(ge=1, le=1000)] = 100
    armour: Annotated[float, Meta(ge=0, le=1)] = 0.25


class Rules(msgspec.Struct):
    """The config of every version."""

    rate: Annotated[float, Meta(ge=0, le=50)] = 1.0
    """Shots in a tick."""
    mode: Literal["hold", "free", "siege", "frenzy", "ruin"] = "hold"
    names: list[str] = []
    barrels: dict[str, Barrel] = {}
    born: Born = msgspec.field(default_factory=Born)


class Turrets(Module):
    """Fires in every tick, as its config says, and takes another one while it runs.

    `shots` counts shots and `damage` calibers; `rules` is a checksum of the whole config. A turret that is `due` has
    another one built.
    """

    schema = Schema(
        shots="f8", damage="i8", rules="i8", due="?", health="i4", armour="f4", constant=("health", "armour")
    )
    config_type = Rules
    newborn: ClassVar[Mapping[str, str]] = {"health": "born.health", "armour": "born.armour"}
    salvo: ClassVar[float] = 1.0
    """How often it fires."""

    def initialize(self, config: Rules) -> None:
        """Take the config."""
        self._rules, self._checksum = config, checksum(msgspec.to_builtins(config))

    def update_config(self, config: Rules) -> bool:
        """Take another one."""
        self.initialize(config)
        return True

    def process(self, dt: float) -> None:
        """Fire, and build what is due."""
        e, rules = self.entities, self._rules
        e.shots += self.salvo * rules.rate
        e.damage += sum(barrel.caliber for barrel in rules.barrels.values())
        e.rules = self._checksum
        if due := int(e.due.sum()):
            e.due = False
            e.spawn(shots=[0.0] * due)
