"""The module versions that come with the scenarios: part of Grove's own wheel, and found only where asked for."""

from __future__ import annotations

from pathlib import Path

from packaging.version import Version

import grove_core
from grove_core.base.records import VersionRecord
from grove_core.parts.hookspecs import hookimpl

ONE, TWO = Version("1.0.0"), Version("2.0.0")


class Brought:
    """A plugin: it finds versions 1 and 2 of one module of the scenarios. Nothing of them is imported here.

    Args:
        module: the module's name; its class has the same one, with a capital.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    @hookimpl
    def grove_discover_versions(self) -> list[VersionRecord]:
        """Return both."""
        where = str(Path(grove_core.__file__).parents[1])
        return [
            VersionRecord(
                self._module,
                version,
                f"grove-core ({self._module} {version.major})",
                f"{__package__}.{self._module}_v{version.major}:{self._module.capitalize()}",
                where,
            )
            for version in (ONE, TWO)
        ]
