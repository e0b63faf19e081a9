"""Which version a caller means: among the installed ones, or among the loaded ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.version import Version

from grove_core.base.errors import (
    AmbiguousVersion,
    BrokenPackage,
    ConflictingPackages,
    UnknownModule,
    UnknownVersion,
)
from grove_core.base.records import VersionRecord
from grove_core.base.showing import brief
from grove_core.base.versions import Requirement, matching
from grove_core.parts.conflicts import ConflictingRecord


def choose(records: Sequence[VersionRecord], module: str, requirement: Requirement) -> VersionRecord:
    """Return the highest installed version that fits and can be loaded.

    Raises:
        InvalidRequirement: the requirement is neither a major number, a version nor a specifier.
        UnknownModule: no record is of that module.
        ConflictingPackages: only versions that two distributions claim would fit.
        BrokenPackage: only versions with broken metadata would fit.
        UnknownVersion: nothing fits.
    """
    mine = [record for record in records if record.module == module]
    if not mine:
        known = ", ".join(sorted({record.module for record in records if record.module.isidentifier()})) or "none"
        raise UnknownModule(f"no version of it is installed; installed modules: {known}", module=module)
    sound = {record.version: record for record in mine if record.version is not None and record.error is None}
    if fitting := matching(requirement, (version for version in sound if version is not None)):
        return sound[fitting[-1]]
    raise _nothing_fits(mine, module, requirement)


def resolve_loaded(module: str, loaded: Iterable[Version], requirement: Requirement) -> Version:
    """Return the one loaded version that fits.

    Raises:
        InvalidRequirement: the requirement is neither a major number, a version nor a specifier.
        UnknownVersion: none fits.
        AmbiguousVersion: more than one fits.
    """
    versions = sorted(loaded)
    fitting = matching(requirement, versions)
    if not fitting:
        text = f"no loaded version fits {brief(str(requirement))}; loaded: {_listed(versions)}"
        raise UnknownVersion(text + _hint(versions, requirement), module=module)
    if len(fitting) > 1:
        text = f"{brief(str(requirement))} fits {_listed(fitting)}, which are all loaded; name one of them exactly"
        raise AmbiguousVersion(text, module=module)
    return fitting[0]


def _nothing_fits(
    mine: Sequence[VersionRecord], module: str, requirement: Requirement
) -> UnknownVersion | BrokenPackage | ConflictingPackages:
    """Return the error that says why no record could be chosen."""
    broken = [record for record in mine if record.error is not None]
    would_fit = matching(requirement, (record.version for record in broken if record.version is not None))
    if would_fit:
        worst = next(record for record in broken if record.version == would_fit[-1])
        kind = ConflictingPackages if isinstance(worst, ConflictingRecord) else BrokenPackage
        return kind(f"it cannot be loaded: {worst.error}", module=module, version=worst.version)
    nameless = [record for record in broken if record.version is None]
    sound = sorted(record.version for record in mine if record.version is not None)
    if nameless and not sound:
        return BrokenPackage(f"{nameless[0].distribution} is broken: {nameless[0].error}", module=module)
    text = f"no installed version fits {brief(str(requirement))}; installed: {_listed(sound)}"
    also = "".join(f"; {record.distribution} is broken: {record.error}" for record in nameless)
    return UnknownVersion(text + _hint(sound, requirement) + also, module=module)


def _listed(versions: Iterable[Version]) -> str:
    return ", ".join(str(version) for version in sorted(set(versions))) or "none"


def _hint(versions: Iterable[Version], requirement: Requirement) -> str:
    """Return a reminder where only a pre-release would do."""
    finals = {Version(version.base_version): version for version in versions if version.is_prerelease}
    fitting = matching(requirement, finals)
    return f"; a pre-release must be named: '{finals[fitting[-1]]}'" if fitting else ""
