"""What one module needs of another: PEP 508 requirements on module names, such as "physics>=1.2,<2"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from grove_core.base.errors import DependencyError
from grove_core.base.showing import brief
from grove_core.base.versions import REMEMBERED, matching, specifiers

MODULE_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What a module may be called."""


@dataclass(frozen=True)
class Need:
    """A module that another one needs, in certain versions."""

    text: str
    """As its author wrote it."""
    module: str
    wanted: SpecifierSet

    def fits(self, version: Version) -> bool:
        """Tell whether a version does that somebody loaded; pre-releases included."""
        return _fits(self, version)

    def choose(self, versions: Iterable[Version]) -> list[Version]:
        """Return the versions that do, highest first; of pre-releases only where the requirement names one."""
        return matching(str(self.wanted) or ">=0", versions)[::-1]


@dataclass(frozen=True)
class Dependency:
    """What one loaded version needs of another module."""

    module: str
    version: Version
    requirement: str
    """As its author wrote it, such as "physics>=1.2,<2"."""
    base: str
    """The module that is needed."""
    met_by: tuple[Version, ...]
    """The loaded versions of it that fit, lowest first."""


@dataclass(frozen=True)
class ServiceOffered:
    """A service of a loaded version."""

    module: str
    version: Version
    name: str
    signature: str
    """As its author wrote it, without `self`."""
    per_entity: bool
    """Whether it answers for each of the entities that it is asked about; else it is asked of stable."""


@lru_cache(maxsize=REMEMBERED)
def _fits(need: Need, version: Version) -> bool:
    return need.wanted.contains(version, prereleases=True)


@lru_cache(maxsize=REMEMBERED)
def read_need(text: str) -> Need:
    """Read a requirement.

    Raises:
        DependencyError: it is not of the form, names what no module is called, or asks for what modules do not have:
            extras, markers, an address.
    """
    try:
        read = Requirement(text)
        wanted = specifiers(str(read.specifier))
    except (ValueError, RecursionError):
        read, wanted = None, SpecifierSet()
    if read is None or read.extras or read.marker is not None or read.url is not None:
        raise DependencyError(f"its requirement {brief(text)} is not of the form 'module>=1,<2'")
    if not MODULE_NAME.fullmatch(read.name):
        near = re.sub(r"[-.]+", "_", read.name).lower()
        meant = f" (did you mean {near!r}?)" if MODULE_NAME.fullmatch(near) else ""
        raise DependencyError(
            f"its requirement {brief(text)} names what no module is called: a-z first, then a-z, 0-9 and _{meant}"
        )
    return Need(text, read.name, wanted)
