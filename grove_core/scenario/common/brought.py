"""The module versions that come with the scenarios: part of Grove's own wheel, and found only where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

import grove_core
from grove_core.base.records import VersionRecord
from grove_core.parts.hookspecs import hookimpl


@dataclass(frozen=True)
class Bring:
    """One version: of which module, which, and where its class is, as an entry point says it."""

    module: str
    version: Version
    entry_point: str
    distribution: str = ""
    """What it is said to come with: versions that come together may lie in one file. Default: it comes alone."""


class Brought:
    """A plugin: it finds the versions that it was made with. Nothing of them is imported here."""

    def __init__(self, versions: Sequence[Bring]) -> None:
        self._versions = tuple(versions)

    @hookimpl
    def grove_discover_versions(self) -> list[VersionRecord]:
        """Return all of them."""
        where = str(Path(grove_core.__file__).parents[1])
        return [
            VersionRecord(
                one.module,
                one.version,
                f"grove-core ({one.distribution or f'{one.module} {one.version}'})",
                one.entry_point,
                where,
            )
            for one in self._versions
        ]
