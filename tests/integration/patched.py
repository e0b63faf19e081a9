"""Code that takes the place of other code, as packages written on the spot."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grove_core import DebugEngine
from grove_core.scenario.common.written import package, write

from .sources import MODULE, version

Code = Callable[..., str]
"""`code("1.0.1", source) -> path` of a package, vouched for by its RECORD."""

SCHEMA = 'x="f8", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", constant=("fixed",)'
KEEPS = """
def initialize(self, config):
    self.ticks = 0
    self.by = config.get("by", 1)
def get_state(self): return {"ticks": self.ticks}
def set_state(self, document): self.ticks = document["ticks"]
def migrate_state_from(self, from_version, document):
    self.ticks = document["ticks"]
    return True
"""


def adding(number: int, *, body: str = KEEPS, schema: str = SCHEMA, lenses: str = "", top: str = "") -> str:
    """Return the source of a version whose ticks add so much, times what its config says, to `n`, and are counted."""
    process = f"e.n += {number} * self.by\nself.ticks += 1\nself.mark_state_changed()"
    return version(process, schema=schema, body=body, lenses=lenses, top=top)


@pytest.fixture
def code(tmp_path: Path) -> Code:
    """Write packages, each into a folder of its own unless one is given."""
    numbers = itertools.count()

    def make(number: str, source: str, into: Path | None = None, module: str = MODULE) -> str:
        folder = into or tmp_path / f"code{next(numbers)}"
        return str(write(folder, package(module, number, {"__init__.py": source})))

    return make


def start(engine: DebugEngine, path: str, **loaded: object) -> None:
    """Load a version from a path, bear eight entities, and tick once."""
    engine.load_module_version(MODULE, ">=0", path=path, **loaded)  # type: ignore[arg-type]
    engine.spawn(MODULE, id=np.arange(8), x=np.arange(8) * 0.1, tag=np.arange(8), fixed=np.arange(8) / 3)
    engine.tick(0.25)


def ticks(engine: DebugEngine, number: str) -> int:
    """Return how many ticks the document of a version has counted."""
    found = engine.dump_state(MODULE, number)["document"]
    return found["ticks"]  # type: ignore[no-any-return]


def counts(engine: DebugEngine) -> list[int]:
    """Return `n` of every entity, by its id."""
    columns = engine.entities(MODULE)
    return columns["n"][np.argsort(columns["id"])].tolist()  # type: ignore[no-any-return]
