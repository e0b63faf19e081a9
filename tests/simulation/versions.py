"""The module under test: four versions of whole numbers, whose arithmetic `model` knows as well."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from packaging.version import Version

from grove_core import Add, Column, Drop, Lens, Map, Module, Rename, Schema
from grove_core.base.records import VersionRecord

from .process import reach
from .schedule import Harm, Point

MODULE = "ledger"
THOUSAND = 1000
BROKEN = 127
"""What no version may write into `level`."""
FAILS, BEARS, ENDS = (11, 3), (13, 5), (17, 4)
"""Where `a` leaves this remainder, version 2.0.0 says the entity failed, lets it bear a child, or ends it."""
BORN = 0.5

LEVEL = Column("i1", low=-100, high=100)


class Simulated(Module):
    """Tells the schedule where it is."""

    def __init__(self) -> None:
        reach(Point.IMPORT)

    def initialize(self, config: Mapping[str, Any]) -> None:
        reach(Point.INITIALIZE)

    def process(self, dt: float) -> None:
        reach(Point.BEGIN)
        self.first(dt)
        if reach(Point.HALF) is Harm.BREAK:
            self.entities.level = BROKEN
        self.second(dt)
        reach(Point.END)

    def first(self, dt: float) -> None:
        """Write half of the columns."""

    def second(self, dt: float) -> None:
        """Write the others."""

    def shutdown(self) -> None:
        reach(Point.SHUTDOWN)


class Counting(Simulated):
    """Counts its ticks in a document; may be busy."""

    ticks = 0

    def second(self, dt: float) -> None:
        self.ticks += 1
        self.mark_state_changed()

    def get_state(self) -> Any:
        return {"ticks": self.ticks}

    def set_state(self, document: Any) -> None:
        self.ticks = document["ticks"]

    def migrate_state_from(self, from_version: str, state: Any) -> bool:
        reach(Point.DOCUMENT)
        self.set_state(state)
        return True

    def is_idle(self) -> bool:
        return reach(Point.IDLE) is not Harm.BUSY


class V1(Simulated):
    """The simplest."""

    schema = Schema(a="i8", x="f8", grain="i8", step="i8", level=LEVEL, constant=("step",))

    def first(self, dt: float) -> None:
        self.entities.a += self.entities.step

    def second(self, dt: float) -> None:
        self.entities.x += dt


class V2(Counting):
    """Has one column more; entities fail, bear children and end."""

    schema = Schema(a="i8", x="f8", grain="i8", step="i8", level=LEVEL, b=Column("i8", default=7), constant=("step",))
    lenses = (Lens("==1.*", "==2.*", [Add("b")]),)

    def first(self, dt: float) -> None:
        self.entities.a += self.entities.step

    def second(self, dt: float) -> None:
        e = self.entities
        e.x += 2 * dt
        e.b += 1
        failed, bearing, ended = (e.a % divisor == rest for divisor, rest in (FAILS, BEARS, ENDS))
        if failed.any():
            e.fail(e.id[failed], "they do")
        bearing &= ~failed
        if bearing.any():
            e.spawn(a=-e.a[bearing], x=BORN, grain=e.grain[bearing] + 1, step=e.step[bearing] + 1, b=e.b[bearing])
        ended &= ~failed
        if ended.any():
            e.despawn(e.id[ended])
        super().second(dt)


class V21(Counting):
    """What it recovers skips the tick."""

    schema = V2.schema
    lenses = V2.lenses
    catch_up = False

    def first(self, dt: float) -> None:
        self.entities.a += self.entities.step

    def second(self, dt: float) -> None:
        self.entities.x += 4 * dt
        self.entities.b += 2
        super().second(dt)


def _forward(grain: Any) -> dict[str, Any]:
    if reach(Point.MAP) is Harm.BREAK:
        return {"coarse": grain // THOUSAND}
    return {"coarse": grain // THOUSAND, "fine": grain % THOUSAND}


def _backward(coarse: Any, fine: Any) -> Any:
    if reach(Point.MAP) is Harm.BREAK:
        return np.append(coarse, 0)
    return coarse * THOUSAND + fine


class V3(Counting):
    """Is reached by a Map, drops what version 2 added, and looks at the world."""

    schema = Schema(total="i8", x="f8", coarse="i8", fine="i8", step="i8", level=LEVEL, constant=("step",))
    lenses = (
        Lens(
            "==2.*",
            "==3.*",
            [Rename("a", "total"), Drop("b"), Map("grain", ("coarse", "fine"), _forward, _backward)],
        ),
    )

    def first(self, dt: float) -> None:
        self.entities.total += 2 * self.entities.step

    def second(self, dt: float) -> None:
        e = self.entities
        e.x += 8 * dt
        e.coarse += 1
        if not (self.world.id[self.world.own] == e.id).all():
            raise AssertionError("the world shows others in the places of these entities")
        super().second(dt)


CLASSES: dict[Version, type[Simulated]] = {
    Version("1.0.0"): V1,
    Version("2.0.0"): V2,
    Version("2.1.0"): V21,
    Version("3.0.0"): V3,
}
PACKAGES = {f"simulated_{MODULE}_{version}".replace(".", "_"): kind for version, kind in CLASSES.items()}
"""The name by which each version is imported: no two versions share an import package."""
RECORDS = [
    VersionRecord(MODULE, version, f"grove-ledger-v{version.major}", f"{name}:Main", "here")
    for version, name in zip(CLASSES, PACKAGES, strict=True)
]
"""The versions as an engine finds them."""


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Let the versions be imported meanwhile."""
    for name, kind in PACKAGES.items():
        sys.modules[name] = package = ModuleType(name)
        package.Main = kind  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name in PACKAGES:
            del sys.modules[name]
