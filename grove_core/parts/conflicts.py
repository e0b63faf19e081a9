"""Where two distributions claim the same: both records are refused, and each error names both.

Two claims contradict each other when they are one version of one module, or when, for workers that search the
same folders, they own one import package: whichever came first would run for both.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import PurePosixPath

from importlib_metadata import Distribution
from packaging.version import Version

from grove_core.base.records import VersionRecord


@dataclass(frozen=True)
class ConflictingRecord(VersionRecord):
    """A record that another one contradicts; its `error` names both distributions."""


@dataclass(frozen=True)
class Claim:
    """One record, and the import packages whose `__init__.py` its distribution installed."""

    record: VersionRecord
    packages: frozenset[str] = frozenset()

    @property
    def counts(self) -> bool:
        """Whether it can contradict others: what is broken cannot be loaded, and so claims nothing."""
        return self.record.error is None or isinstance(self.record, ConflictingRecord)

    @cached_property
    def target(self) -> str:
        """The dotted path of the module that its entry point names."""
        return self.record.entry_point.partition(":")[0].strip()

    @cached_property
    def owned(self) -> frozenset[str]:
        """All that its distribution installed."""
        return self.packages | {self.target}

    @cached_property
    def used(self) -> frozenset[str]:
        """What is owned and imported by a worker: a stray `tests/__init__.py` hurts nobody."""
        return frozenset(name for name in self.owned if f"{self.target}.".startswith(f"{name}."))


def packages_of(found: Distribution) -> frozenset[str]:
    """Return the import packages that a distribution's RECORD lists; none where it has no RECORD."""
    lines = (found.read_text("RECORD") or "").splitlines()
    paths = (PurePosixPath(row[0]) for row in csv.reader(lines) if row)
    return frozenset(".".join(path.parent.parts) for path in paths if path.name == "__init__.py")


def refuse_conflicts(claims: Iterable[Claim]) -> list[VersionRecord]:
    """Return the records, each once and sorted, with an error on every one that another contradicts."""
    with_files_last = sorted(claims, key=lambda claim: bool(claim.record.dist_info))  # who tells of them is heard
    distinct = list({claim.record: claim for claim in with_files_last}.values())
    errors: dict[VersionRecord, str] = {}
    for one, other in combinations([claim for claim in distinct if claim.counts], 2):
        if disputed := _disputed(one, other):
            both = " and by ".join(sorted((_described(one.record), _described(other.record))))
            for claim in (one, other):
                errors.setdefault(claim.record, f"{disputed} is claimed by {both}; uninstall one")
    return sorted((_refused(claim.record, errors.get(claim.record)) for claim in distinct), key=_order)


def _disputed(one: Claim, other: Claim) -> str | None:
    """Return what two claims contradict each other in, or None."""
    first, second = one.record, other.record
    if (first.module, first.version) == (second.module, second.version):
        return f"{first.module}@{first.version}"
    same_distribution = (first.distribution, first.location) == (second.distribution, second.location)
    if first.path != second.path or (same_distribution and first.version == second.version):
        return None
    shared = (one.used & other.owned) | (other.used & one.owned)
    return f"the import package {min(shared)}" if shared else None


def _described(record: VersionRecord) -> str:
    return f"{record.distribution} {record.version} ({record.entry_point}, in {record.location})"


def _refused(record: VersionRecord, error: str | None) -> VersionRecord:
    if error is None or record.error is not None:
        return record
    return ConflictingRecord(**vars(replace(record, error=error)))


def _order(record: VersionRecord) -> tuple[str, bool, Version, str, str, str]:
    """By module and version; without a version first."""
    version = record.version or Version("0")
    has_one = record.version is not None
    return (record.module, has_one, version, record.distribution, record.location, record.entry_point)
