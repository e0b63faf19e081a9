"""A module of whole numbers, in three versions whose lenses add, rename, drop, scale and cast."""

from __future__ import annotations

LEDGER = "ledger"
"""The module's name."""

SOURCES = {
    1: """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(a="i8", step="i8", grain="i8", constant=("step",))

    def process(self, dt):
        self.entities.a += self.entities.step
""",
    2: """
from grove_core import Add, Column, Lens, Module, Schema

class Main(Module):
    schema = Schema(a="i8", step="i8", grain="i8", b=Column("i8", default=7), constant=("step",))
    lenses = [Lens("==1.*", "==2.*", [Add("b")])]

    def process(self, dt):
        e = self.entities
        e.a += e.step
        e.b += 1
        e.grain -= 1
""",
    3: """
from grove_core import Cast, Drop, Lens, Module, Rename, Scale, Schema

class Main(Module):
    schema = Schema(total="i8", step="i8", grain="i2", constant=("step",))
    lenses = [
        Lens("==2.*", "==3.*", [Rename("a", "total"), Scale("step", 10), Cast("grain", "i2"), Drop("b")])
    ]

    def process(self, dt):
        e = self.entities
        e.total += e.step // 10
        e.grain += e.total % 2 == 0
""",
}
"""The source of each version, by its major number."""

COLUMNS = {1: ("a", "step", "grain"), 2: ("a", "step", "grain", "b"), 3: ("total", "step", "grain")}
"""The columns of each version."""
