"""Which versions are installed, read from metadata alone: nothing is imported.

A version is a distribution with an entry point in the group `grove_core.modules`. Only `entry_points.txt` is
read of a distribution that has none; what cannot be read becomes a record with its `error`, never a raise.
"""

from __future__ import annotations

from collections.abc import Sequence

import importlib_metadata
import pluggy
from importlib_metadata import Distribution, EntryPoint
from packaging.version import Version

from grove_core.base.errors import PluginFailed
from grove_core.base.needs import MODULE_NAME
from grove_core.base.records import VersionRecord
from grove_core.base.showing import brief
from grove_core.parts.choosing import choose, resolve_loaded
from grove_core.parts.conflicts import Claim, packages_of, refuse_conflicts
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.metadata import entries_of, full_name, metadata_folder, unshadowed
from grove_core.parts.plugins import each_result

__all__ = ["GROUP", "choose", "collect", "grove_discover_versions", "records_in", "resolve_loaded"]

GROUP = "grove_core.modules"
UNREADABLE = "?"
"""Stands for the module's name where the metadata does not tell it."""


@hookimpl
def grove_discover_versions() -> list[VersionRecord]:
    """Return the versions that are installed on `sys.path`."""
    return records_in(None)


def records_in(path: Sequence[str] | None) -> list[VersionRecord]:
    """Return the versions in these folders, sorted by module and version; None stands for `sys.path`.

    As with an import, the first folder that has a distribution wins: the same one in a later folder is left
    out. What is found under an explicit path carries its folder as `path`, for the worker.
    """
    # Folders are listed anew: their cached listings go by mtime, too coarse for what was installed just now.
    importlib_metadata.MetadataPathFinder.invalidate_caches()
    claims = [claim for folder, found in unshadowed(path) for claim in _claims(found, None if path is None else folder)]
    return refuse_conflicts(claims)


def collect(manager: pluggy.PluginManager) -> tuple[list[VersionRecord], list[PluginFailed]]:
    """Return the versions that all plugins know, sorted, and the failures of the plugins that could not say.

    What two plugins tell alike counts once; what they tell in contradiction is refused as within one.
    """
    claims: list[Claim] = []
    failures: list[PluginFailed] = []
    for plugin, result in each_result(manager, "grove_discover_versions"):
        if isinstance(result, PluginFailed):
            failures.append(result)
            continue
        for record in result:
            if isinstance(record, VersionRecord) and (record.error or record.version is not None):
                claims.append(Claim(record))
            else:
                reason = f"grove_discover_versions gave no VersionRecord with a version or an error: {record!r}"
                failures.append(PluginFailed(reason, plugin=plugin))
    return refuse_conflicts(claims), failures


def _claims(found: Distribution, folder: str | None) -> list[Claim]:
    """Return what one distribution claims; nothing where it has no entry point in the group."""
    location, info = str(found.locate_file("")), metadata_folder(found)
    path = () if folder is None else (folder,)
    try:
        entries = entries_of(found, GROUP)
    except ValueError as error:
        return [Claim(VersionRecord(UNREADABLE, None, full_name(found), "", location, path, str(error)))]
    if not entries:
        return []
    name, (version, error_text) = full_name(found), _version(found)
    packages: frozenset[str] = frozenset()
    try:
        packages = packages_of(found)
    except Exception as error:
        error_text = error_text or f"RECORD of {location} cannot be read: {type(error).__name__}: {error}"
    return [
        Claim(
            VersionRecord(e.name, version, name, e.value, location, path, _entry_error(e) or error_text, info),
            packages,
        )
        for e in entries
    ]


def _version(found: Distribution) -> tuple[Version | None, str | None]:
    """Return the version, or why there is none."""
    where = f"METADATA of {found.locate_file('')}"
    try:
        text = found.metadata.get("Version")
    except Exception as error:
        return None, f"{where} cannot be read: {type(error).__name__}: {error}"
    if not text:
        return None, f"{where} has no Version"
    try:
        return Version(text), None
    except ValueError:
        return None, f"{where} has the version {brief(text)}, which is not of PEP 440's form, such as 1.2.0"


def _entry_error(entry: EntryPoint) -> str | None:
    """Return what is wrong with an entry point, or None."""
    if not MODULE_NAME.fullmatch(entry.name):
        return f"the entry point {entry.name!r} is no module's name: a-z first, then a-z, 0-9 and _"
    module, _, attribute = entry.value.partition(":")
    if all(part.isidentifier() for part in (*module.strip().split("."), *attribute.strip().split("."))):
        return None
    return f"the entry point {entry.name} = {entry.value!r} does not name a class, as in package:Class"
