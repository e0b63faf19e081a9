"""The three modules of a battle in an engine, and how they are held against their reference."""

from __future__ import annotations

import itertools
import mmap
from typing import TYPE_CHECKING

import numpy as np
from packaging.version import Version

from grove_core.scenario.common.brought import Bring, Brought
from grove_core.scenario.isolation_check import OwnSlot, OwnTable, inspect
from grove_core.scenario.modules.battle_reference import ORDER, Reference
from grove_core.scenario.modules.comparing import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.base.records import TickReport
    from grove_core.debug import DebugEngine

SEED = 5


def brought() -> Brought:
    """Return a plugin that finds both versions of the three modules."""
    return Brought(
        [
            Bring(module, Version(f"{major}.0.0"), f"{__package__}.battle_{module}_v{major}:{module.capitalize()}")
            for module in ORDER
            for major in (1, 2)
        ]
    )


class Battle:
    """Both sides.

    Args:
        engine: has nothing loaded.
        tanks: how many there are.
    """

    def __init__(self, engine: DebugEngine, tanks: int) -> None:
        self._engine = engine
        self.reference = Reference(tanks, SEED)
        self._documents: dict[str, dict[Version, int]] = {module: {} for module in ORDER}

    def begin(self) -> None:
        """Load version 1 of each module, and let its entities be born."""
        for module in ORDER:
            self.load(module, 1)
            self._engine.spawn(module, id=self.reference.ids[module], **self.reference.born[module])

    def load(self, module: str, major: int) -> Version:
        """Load a version; it goes on from the document that stable has."""
        version = self._engine.load_module_version(module, major).version
        documents = self._documents[module]
        documents[version] = documents.get(self._engine.stable_version(module), 0)
        return version

    def locate(self, module: str) -> int:
        """Ask which version every entity has, and tell the reference; return how many are elsewhere than before."""
        ids = self.reference.ids[module]
        located = self._engine.locate(module, ids)
        majors = np.fromiter((version.major for version in located), np.int64, len(ids))
        moved = int(np.count_nonzero(majors != self.reference.majors[module]))
        self.reference.majors[module] = majors
        return moved

    def tick(self, report: TickReport, dt: float) -> None:
        """Have the reference do what a tick did. What failed in it had its tick where it is now."""
        failed = {(fault.module, fault.version) for fault in report.faults}
        for module in ORDER:
            majors = set(self.reference.majors[module].tolist())
            documents = self._documents[module]
            for version in documents:
                documents[version] += version.major in majors and (module, version) not in failed
            if any(module == name for name, _ in failed):
                self.locate(module)
        self.reference.tick(dt)

    def differences(self, module: str) -> list[str]:
        """Compare every column of every loaded version, and its document, bit for bit; say what is not right."""
        return [
            f"{module}@{version}: {sentence}"
            for version in self._engine.get_loaded_versions(module)
            for sentence in (*self._columns(module, version), *self._document(module, version))
        ]

    def counts(self, module: str) -> dict[int, int]:
        """Count the entities of each major version, as `locate` found them last."""
        majors, counts = np.unique(self.reference.majors[module], return_counts=True)
        return dict(zip(majors.tolist(), counts.tolist(), strict=True))

    def foreign(self, module: str) -> tuple[int, list[str]]:
        """Look at what the workers of a module map: return how many areas, and which are not their own."""
        areas, foreign = 0, []
        workers = self._engine.workers(module)
        for version in self._engine.get_loaded_versions(module):
            if version not in workers:
                foreign.append(f"{module}@{version}: it has no worker")
                continue
            finding = inspect(workers[version], self._own(module, version))
            areas += finding.areas
            foreign += [f"{module}@{version}: {sentence}" for sentence in finding.foreign]
        return areas, foreign

    def late(self) -> list[str]:
        """Say which entities were told how far the module before theirs was before this tick."""
        told, ticks = [], self.reference.ticks
        for before, module in itertools.pairwise(ORDER):
            known = self._engine.entities(module)[f"{before}_ticks"]
            if late := int(np.count_nonzero(known != ticks)):
                told.append(f"tick {ticks}: {late} of {len(known)} entities of {module} knew {before} as it was before")
        return told

    def strangers(self) -> list[str]:
        """Say which entities were answered by another version than that of the entity they asked about."""
        told = []
        for before, module in itertools.pairwise(ORDER):
            found = self._engine.entities(module)
            answered = found[f"{before}_major"][np.argsort(found["id"])]
            owners = self.reference.majors[before][self.reference.asked(module)]
            if wrong := int(np.count_nonzero(answered != owners)):
                told.append(
                    f"tick {self.reference.ticks}: {wrong} of {len(owners)} entities of {module} were answered by "
                    f"another version of {before} than has the entity"
                )
        return told

    def take_over(self, module: str) -> None:
        """Make the reference what the engine has, so that what went wrong once is not found wrong ever after."""
        version = self._engine.get_loaded_versions(module)[-1]
        found = self._engine.entities(module, version=version)
        order = np.argsort(found["id"])
        mine = self.reference.of(module, version.major)
        for name in mine.keys() & found.keys():
            np.copyto(mine[name], found[name][order][: len(mine[name])])
        for each in self._engine.get_loaded_versions(module):
            self._documents[module][each] = self._engine.dump_state(module, each, rows=0)["document"]["ticks"]
        self.locate(module)

    def _columns(self, module: str, version: Version) -> Iterator[str]:
        found = self._engine.entities(module, version=version)
        yield from compare(found, self.reference.ids[module], self.reference.of(module, version.major))

    def _document(self, module: str, version: Version) -> Iterator[str]:
        found = self._engine.dump_state(module, version, rows=0)["document"]
        expected = {"ticks": self._documents[module][version]}
        if found != expected:
            yield f"its document is {found}, not {expected}"

    def _own(self, module: str, version: Version) -> OwnTable:
        inode, slots = self._engine.table_slots(module, version)
        columns = self._engine.entities(module, version=version)
        rows = self._engine.settings.max_entities
        own = {
            offset: OwnSlot(name, -(-rows * columns[name].dtype.itemsize // mmap.PAGESIZE) * mmap.PAGESIZE, writable)
            for offset, (name, writable) in slots.items()
        }
        return OwnTable(inode, own)
