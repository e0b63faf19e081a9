"""The records of `archive` in an engine, and what they must be: arrays that never met one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

# Before anything runs: numpy loads it lazily, and what it is compiled with drops a Ctrl-C that comes meanwhile.
from numpy.random import default_rng

from grove_core.scenario.modules.archive_v1 import READINGS
from grove_core.scenario.modules.archive_v2 import FACTOR
from grove_core.scenario.modules.comparing import compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.debug import DebugEngine

MODULE = "archive"
ROW = 8 * (1 + len(READINGS))
"""Bytes of a record, its id among them."""
SEED = 7
DT = 1 / 60


def rows_of(megabytes: float) -> int:
    """Return how many records are so many millions of bytes."""
    return int(megabytes * 1e6 / ROW)


class Archive:
    """Both sides.

    Args:
        engine: has no version of the module yet.
        megabytes: how much state there is.
    """

    def __init__(self, engine: DebugEngine, megabytes: float) -> None:
        random = default_rng(SEED)
        self.engine = engine
        self.rows = rows_of(megabytes)
        self._ids = np.arange(self.rows)
        self._columns: dict[str, NDArray[np.float64]] = {name: random.uniform(0, 9, self.rows) for name in READINGS}

    def spawn(self) -> None:
        """Let all records be born, as they ought to be."""
        self.engine.spawn(MODULE, id=self._ids, **self._columns)

    def tick(self, major: int) -> list[str]:
        """Tick the engine, and the reference as the version does that has all records; say what went wrong."""
        report = self.engine.tick(DT)
        self._columns["r00"] = self._columns["r00"] + float(major)
        wrong = [f"{fault.kind} of {fault.version}: {fault.message}" for fault in report.faults]
        return wrong + [f"{report.entities} of {self.rows} records had a tick"] * (report.entities != self.rows)

    def differences(self) -> list[str]:
        """Compare all values bit for bit, in the schema of the version that is stable; say what is not right."""
        version = self.engine.stable_version(MODULE)
        found = self.engine.entities(MODULE, version=version)
        expected = self._columns if version.major == 1 else self._as_two()
        return [f"{MODULE}@{version}: {told}" for told in compare(found, self._ids, expected)]

    def _as_two(self) -> dict[str, NDArray[np.generic]]:
        """Return what version 2 makes of it."""
        kept = {name: values for name, values in self._columns.items() if name not in ("r01", "r02", "r03", "r13")}
        return {
            **kept,
            "level": self._columns["r01"],
            "r02": self._columns["r02"] * FACTOR,
            "r03": self._columns["r03"].astype(np.float32),
            "flag": np.zeros(self.rows, np.bool_),
        }
