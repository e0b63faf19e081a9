"""Version packages of a module called `counter`, which say with each row what they did to it."""

from __future__ import annotations

MODULE = "counter"

V1 = """
from grove_core import Column, Module, Schema

class Main(Module):
    schema = Schema(x="f4", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", constant=("fixed",))

    def process(self, dt):
        self.entities.x += dt
        self.entities.n += 1
"""

V2 = """
from grove_core import Add, Column, Lens, Module, Schema

class Main(Module):
    schema = Schema(
        x="f4", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", hit="i8", constant=("fixed",)
    )
    lenses = [Lens("==1.*", "==2.*", [Add("hit")])]

    def process(self, dt):
        self.entities.x += 2 * dt
        self.entities.n += 100
        self.entities.hit += 1
"""

SCHEMA_1 = 'x="f4", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", constant=("fixed",)'
"""The schema of version 1."""

BOTH = {"1.0.0": V1, "2.0.0": V2}


def version(process: str, *, schema: str = 'x="f4", n="i8"', lenses: str = "", body: str = "", top: str = "") -> str:
    """Return the source of a version whose `process` has these statements."""
    lines = "\n".join(f"        {line}" for line in process.strip().splitlines())
    rest = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f"""
import os, signal, sys, time
import numpy as np
from grove_core import Add, Cast, Column, Drop, Lens, Module, Recode, Rename, Scale, Schema
{top}
class Main(Module):
    schema = Schema({schema})
    lenses = [{lenses}]
{rest}
    def process(self, dt):
        e = self.entities
{lines}
"""
