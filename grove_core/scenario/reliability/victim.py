"""The module into which faults are injected, one by one: two written versions, and what their entities must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from packaging.version import Version

from grove_core.scenario.common.written import package, write

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.author.schema import Columns
    from grove_core.base.records import TickReport
    from grove_core.debug import DebugEngine

MODULE = "victim"
ONE, TWO = Version("1.0.0"), Version("2.0.0")
ENTITIES = 8
ADDS = {ONE: 1, TWO: 100}
"""What a tick of each version adds to `n`."""
CHILD = 7
"""The `n` of a newborn."""
SOURCE = """
from grove_core import Column, Module, Schema

class Main(Module):
    schema = Schema(n="i8", level=Column("f4", low=0, high=1e6), due="?")

    def process(self, dt):
        e = self.entities
        e.n += {adds}
        e.level += 0.25
        born = int(e.due.sum())
        e.due = False
        if born:
            e.spawn(n=[{child}] * born)
"""


class Victim:
    """The module in an engine, and what its entities must be.

    Args:
        engine: gets it.
        folder: where its packages are written.
        advance: ticks the engine once.
    """

    def __init__(self, engine: DebugEngine, folder: Path, advance: Callable[[], TickReport]) -> None:
        self._engine = engine
        self._advance = advance
        self._paths = {version: _written(folder / f"v{version}", version, "") for version in ADDS}
        self._changed = {version: _written(folder / f"v{version}-changed", version, "# changed\n") for version in ADDS}
        self.ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._n: NDArray[np.int64] = np.empty(0, np.int64)
        self._level: NDArray[np.float32] = np.empty(0, np.float32)

    def begin(self) -> None:
        """Load both versions and share entities out between them."""
        self.load(ONE)
        self.ids = np.sort(self._engine.spawn(MODULE, n=np.arange(ENTITIES), level=1.0))
        self._n, self._level = np.arange(ENTITIES), np.ones(ENTITIES, np.float32)
        self.restore()

    def load(self, version: Version) -> None:
        """Load a version from its package.

        Raises:
            GroveError: it is not loaded.
        """
        self._engine.load_module_version(MODULE, version, path=self._paths[version])

    def patch(self, version: Version) -> None:
        """Put changed code that does the same in the place of a version.

        Raises:
            GroveError: the code before goes on.
        """
        self._engine.patch_module_version(MODULE, version, path=self._changed[version])

    def restore(self) -> None:
        """Do what an operator does after a fault: load what is missing, and give each version half."""
        for version in ADDS:
            if not self._engine.is_version_loaded(MODULE, version):
                self.load(version)
        if self._engine.stable_version(MODULE) != ONE:
            self._engine.set_traffic_split(MODULE, {ONE: 1.0})
        self._engine.set_traffic_split(MODULE, {ONE: 0.5, TWO: 0.5})

    def tick(self) -> TickReport:
        """Tick, and have what is expected do the same: each entity in the version that it is in afterwards."""
        report = self._advance()
        alive = np.isin(self.ids, self._engine.entities(MODULE)["id"])
        for version, adds in ADDS.items():
            in_it = np.zeros(len(self.ids), np.bool_)
            in_it[alive] = [found == version for found in self._engine.locate(MODULE, self.ids[alive])]
            self._n[in_it] += adds
        self._level += np.float32(0.25)
        return report

    def children(self) -> NDArray[np.int64]:
        """Return the ids of those that were born in ticks."""
        return np.setdiff1d(self._engine.entities(MODULE)["id"], self.ids)

    def take_over(self) -> None:
        """Make what is expected what there is: what was wrong once is not to be found wrong ever after."""
        found = self._found()
        place = np.searchsorted(found["id"], self.ids)
        self._n, self._level = found["n"][place], found["level"][place]

    def differences(self) -> list[str]:
        """Say what is not as it must be."""
        found = self._found()
        if not np.array_equal(found["id"], self.ids):
            return [f"there are {len(found['id'])} entities, not {len(self.ids)}, or others"]
        told = {"n": self._n, "level": self._level}
        wrong = {name: int(np.count_nonzero(found[name] != values)) for name, values in told.items()}
        return [f"{name} is wrong in {count} of {len(self.ids)} entities" for name, count in wrong.items() if count]

    def _found(self) -> Columns:
        """Return the columns, sorted by id."""
        columns = self._engine.entities(MODULE)
        order = np.argsort(columns["id"])
        return {name: values[order] for name, values in columns.items()}


def _written(folder: Path, version: Version, after: str) -> str:
    """Write a version's package, its code followed by a text; return its folder."""
    code = {"__init__.py": source(ADDS[version]) + after}
    return str(write(folder, package(MODULE, str(version), code)))


def source(adds: int) -> str:
    """Return the code of a version that adds so much to `n`."""
    return SOURCE.format(adds=adds, child=CHILD)
