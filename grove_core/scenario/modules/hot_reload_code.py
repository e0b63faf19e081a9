"""The code of a tank, as packages that are written to disk: it runs, is changed, is broken, and has another schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from grove_core.scenario.common.written import package, write

if TYPE_CHECKING:
    from pathlib import Path

    from grove_core.author.schema import Columns

MODULE = "tank"
SOURCE = """
from grove_core import Module, Schema

SPEED = {speed}
CODE = {number}


class Main(Module):
    schema = Schema(x="f8", y="f8", vx="f8", vy="f8", code="i8"{more}, constant=("vx", "vy"))

    def initialize(self, config):
        self.ticks = 0
        self.seed = sum(number * number for number in range(200_000))  # it takes its time, as code does that reads maps

    def process(self, dt):
        e = self.entities
        e.x += e.vx * (dt * SPEED)
        e.y += e.vy * (dt * SPEED)
        e.code = CODE
        self.ticks += 1
        self.mark_state_changed()

    def get_state(self):
        return {{"ticks": self.ticks}}

    def set_state(self, document):
        self.ticks = document["ticks"]

    def migrate_state_from(self, from_version, document):
        self.set_state(document)
        return from_version.startswith("1.0.")
{after}"""


class Code(StrEnum):
    """What is written."""

    FIRST = "1.0.0"
    PATCH = "1.0.1"
    CHANGED = "1.0.1, changed"
    BROKEN = "1.0.1, with a syntax error"
    OTHER_SCHEMA = "1.0.1, with another schema"


@dataclass(frozen=True)
class Written:
    """One code: the number by which its ticks are known, how fast its tanks are, and what else is in it."""

    number: int
    speed: float
    more: str = ""
    after: str = ""


CODES = {
    Code.FIRST: Written(1, 1.0),
    Code.PATCH: Written(2, 1.75),
    Code.CHANGED: Written(3, -0.3),
    Code.BROKEN: Written(4, 1.0, after="\n    def process(self, dt:\n"),
    Code.OTHER_SCHEMA: Written(5, 1.0, more=', fuel="f4"'),
}
BROKEN_LINE = SOURCE.format(speed=1.0, number=4, more="", after="").count("\n") + 2
"""The line of the syntax error."""


def written(folder: Path) -> dict[Code, str]:
    """Write every code into a folder of its own; return where each is."""
    return {
        code: str(
            write(
                folder / f"code{place}",
                package(
                    MODULE,
                    code.partition(",")[0],
                    {"__init__.py": SOURCE.format(**{name: getattr(each, name) for name in each.__annotations__})},
                ),
            )
        )
        for place, (code, each) in enumerate(CODES.items())
    }


class Tanks:
    """What tanks must be, computed by itself: whoever knows which code ran knows where they are.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        chance = np.random.default_rng(20)
        self.ids = np.arange(1, count + 1)
        self.columns: Columns = {
            name: chance.uniform(-low, low, count) for name, low in (("x", 1e3), ("y", 1e3), ("vx", 9.0), ("vy", 9.0))
        }

    def tick(self, dt: float, number: int) -> None:
        """Let them have a tick by the code with this number."""
        speed = next(code.speed for code in CODES.values() if code.number == number)
        for place, velocity in (("x", "vx"), ("y", "vy")):
            self.columns[place] += self.columns[velocity] * (dt * speed)

    def differences(self, found: Columns) -> list[str]:
        """Say what is not so, bit for bit, in columns of any order of ids."""
        order = np.argsort(found["id"])
        if not np.array_equal(found["id"][order], self.ids):
            return [f"there are {len(found['id'])} tanks instead of {len(self.ids)}, or others"]
        wrong = {
            name: int(np.count_nonzero(found[name][order].view("u8") != values.view("u8")))
            for name, values in self.columns.items()
        }
        return [f"{name} is wrong in {count} of {len(self.ids)} tanks" for name, count in wrong.items() if count]
