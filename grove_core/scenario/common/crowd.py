"""The entities of gamelogic in an engine, and the same ones in a reference that never met it."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

# Before anything runs: numpy loads it lazily, and what it is compiled with drops a Ctrl-C that comes meanwhile.
from numpy.random import default_rng
from numpy.typing import NDArray

from grove_core.scenario.isolation_check import Finding, OwnSlot, OwnTable, inspect
from grove_core.scenario.reference import FIELD, Columns, Reference
from grove_core.scenario.seen import Check, Counts

if TYPE_CHECKING:
    from packaging.version import Version

    from grove_core.base.records import TickReport
    from grove_core.debug import DebugEngine
    from grove_core.parts.settings import Settings

MODULE = "gamelogic"
SPEED = 5.0
"""Entities move by up to this in a second, along each axis: some cross the border, most stay inside."""
SEED = 10
_MOTION = {"x": (0.0, FIELD), "y": (0.0, FIELD), "vx": (-SPEED, SPEED), "vy": (-SPEED, SPEED)}
"""Between what an entity's first values lie."""

Arrays = Mapping[str, NDArray[np.generic]]


class Crowd:
    """Both sides, and how they are held against each other.

    Args:
        engine: has versions of gamelogic by the time that anything is asked for.
        settings: the engine's.
    """

    def __init__(self, engine: DebugEngine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self.entities = 0
        """How many there ought to be."""
        self.reference = Reference(np.zeros(0, np.int64), {name: np.zeros(0, np.float32) for name in _MOTION})

    def make(self, entities: int, seed: int = SEED) -> Columns:
        """Return the columns of new entities, at places and with speeds that are the same for the same seed.

        They are the reference's from now on; whoever asks spawns them.
        """
        random = default_rng(seed)
        ids = np.arange(entities)
        columns = {name: random.uniform(*_MOTION[name], entities).astype(np.float32) for name in _MOTION}
        self.reference = Reference(ids, columns)
        self.entities = entities
        return {"id": ids, **columns}

    def locate(self) -> NDArray[np.int64]:
        """Ask which version every entity has, and tell the reference; returns the major numbers."""
        ids = self._engine.entities(MODULE)["id"]
        located = self._engine.locate(MODULE, ids)
        majors = np.fromiter((version.major for version in located), np.int64, len(ids))
        self.reference.assign(ids, majors)
        return majors

    def tick(self, report: TickReport, dt: float) -> None:
        """Have the reference do what a tick did. A module that is paused has no tick.

        The entities of a version that did its part had their tick from it, also if it failed later in the same tick,
        over others that were to catch up in it. Those of a version that failed had it from the one that they are in
        afterwards; they caught up by themselves, and did not see those that had been there before. Whether it failed
        at its own part tells the number of entities that it had at hand: no two versions may have as many.
        """
        if not report.faults and not report.rollbacks:
            if report.entities:
                self.reference.tick(dt)
            return
        ids, before = self.reference.ids, self.reference.major.copy()
        self.locate()
        if report.entities:
            after = self.reference.major.copy()
            failed = [
                fault.version.major
                for fault in report.faults
                if fault.entities == np.count_nonzero(before == fault.version.major)
            ]
            self.reference.assign(ids, np.where(np.isin(before, failed), after, before))
            self.reference.tick(dt, before)
            self.reference.assign(ids, after)

    def counts(self, majors: NDArray[np.int64]) -> dict[int, int]:
        """Count the entities of every version that is loaded."""
        counts = np.bincount(majors, minlength=1)
        loaded = {version.major for version in self._engine.get_loaded_versions(MODULE)}
        return {major: int(counts[major]) if major < len(counts) else 0 for major in sorted(loaded)}

    def look(self, expected: Counts) -> Check:
        """Count every entity, compare every column of every version, and look at what the workers map."""
        counts = self.counts(self.locate())
        right = np.ones(self.entities, np.bool_)
        lost = foreign = areas = 0
        differences: list[str] = []
        foreign_areas: list[str] = []
        workers = self._engine.workers(MODULE)
        for version in self._engine.get_loaded_versions(MODULE):
            found = self._engine.entities(MODULE, version=version)
            comparison = self.reference.compare(version.major, found)
            right &= comparison.right
            lost, foreign = max(lost, comparison.lost), max(foreign, comparison.foreign)
            differences += _said_of(version, comparison.differences)
            finding = self._inspect(version, workers.get(version), found)
            areas += finding.areas
            foreign_areas += _said_of(version, finding.foreign)
        return Check(
            counts=counts,
            expected=expected,
            lost=lost,
            foreign=foreign,
            right=int(right.sum()),
            areas=areas,
            foreign_areas=tuple(foreign_areas),
            differences=tuple(differences),
        )

    def differences(self) -> tuple[str, ...]:
        """Compare every column of every version with the reference, and say what differs; nothing if all is right."""
        self.locate()
        return tuple(
            sentence
            for version in self._engine.get_loaded_versions(MODULE)
            for sentence in _said_of(
                version,
                self.reference.compare(version.major, self._engine.entities(MODULE, version=version)).differences,
            )
        )

    def take_over(self) -> None:
        """Make the reference what the engine has, so that what went wrong once is not found wrong ever after."""
        highest = self._engine.get_loaded_versions(MODULE)[-1]
        found = self._engine.entities(MODULE, version=highest)
        order = np.argsort(found["id"])
        self.reference = Reference(found["id"], {name: found[name] for name in _MOTION})
        for name in found.keys() & {"collided", "mass"}:
            np.copyto(getattr(self.reference, name), found[name][order])
        self.locate()

    def _inspect(self, version: Version, pid: int | None, columns: Arrays) -> Finding:
        """Look at a version's worker. `columns` tell the dtypes, and so the room of its slots."""
        if pid is None:
            return Finding(1, ("it has no process of its own",))
        inode, slots = self._engine.table_slots(MODULE, version)
        own = {
            offset: OwnSlot(name, self._room(columns[name].dtype.itemsize), writable and name != "id")
            for offset, (name, writable) in slots.items()
            if name in columns
        }
        return inspect(pid, OwnTable(inode, own))

    def _room(self, itemsize: int) -> int:
        pages = -(-self._settings.max_entities * itemsize // mmap.PAGESIZE)
        return pages * mmap.PAGESIZE


def _said_of(version: Version, sentences: Iterable[str]) -> list[str]:
    return [f"v{version.major}: {sentence}" for sentence in sentences]
