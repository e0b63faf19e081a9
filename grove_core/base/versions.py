"""Versions and what a caller may write for one.

`1` (or "1") is a major number; "2.0.0" is exact; every other string is a specifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from grove_core.base.errors import InvalidRequirement
from grove_core.base.showing import brief

REMEMBERED = 1024
"""So many requirements are remembered, and for each so many versions that were held against it."""

Requirement = int | str | Version
"""What a caller may write where a version is asked for."""


def specifier(requirement: Requirement) -> SpecifierSet:
    """Turn a requirement into a specifier set.

    Raises:
        InvalidRequirement: it is neither a major number, a version nor a specifier.
    """
    if isinstance(requirement, Version):
        return SpecifierSet(f"=={requirement}")
    if isinstance(requirement, bool) or not isinstance(requirement, int | str):
        raise _unreadable(requirement)
    try:
        return _specifier(str(requirement).strip())
    except ValueError:
        raise InvalidRequirement(
            f"{brief(requirement)} is not a version; write a major number (1), an exact version ('2.0.0') "
            f"or a specifier ('>=1.2,<2')"
        ) from None


def specifiers(text: str) -> SpecifierSet:
    """Read specifiers such as "==1.*" or ">=1,<2"; what was read here can be held against any version.

    Raises:
        ValueError: they are none, or name a number of more digits than Python reads.
    """
    read = SpecifierSet(text)
    _named_versions(read)
    return read


def matching(requirement: Requirement, versions: Iterable[Version]) -> list[Version]:
    """Return the versions that fit, lowest first. A pre-release fits only where the requirement names one.

    packaging's default would let pre-releases in when nothing else fits, so the choice is always passed.

    Raises:
        InvalidRequirement: see `specifier`.
    """
    if isinstance(requirement, int | str | Version):  # what else there is specifier refuses, and no cache can hold it
        fits = _fitting(requirement)
        return sorted(version for version in set(versions) if fits(version))
    raise _unreadable(requirement)


@lru_cache(maxsize=REMEMBERED, typed=True)
def _fitting(requirement: Requirement) -> Callable[[Version], bool]:
    """Return what tells whether a version fits; to read a requirement takes a hundred times as long as to ask."""
    wanted = specifier(requirement)
    named = any(version.is_prerelease for version in _named_versions(wanted))

    @lru_cache(maxsize=REMEMBERED)
    def fits(version: Version) -> bool:
        return wanted.contains(version, prereleases=named)

    return fits


@lru_cache(maxsize=REMEMBERED)
def satisfies(version: Version, text: str) -> bool:
    """Tell whether a version lies within the specifier a lens names; pre-releases included."""
    return SpecifierSet(text).contains(version, prereleases=True)


def _specifier(text: str) -> SpecifierSet:
    """Read a requirement's text; ValueError where it is none."""
    if not text:
        raise InvalidSpecifier(text)
    if text.isdecimal():
        return SpecifierSet(f"=={int(text)}.*")
    try:
        return SpecifierSet(f"=={Version(text)}")
    except InvalidVersion:
        return specifiers(text)


def _named_versions(wanted: SpecifierSet) -> list[Version]:
    """Return the versions that specifiers name; they are read only here, and ValueError is raised where they cannot."""
    return [Version(part.version.removesuffix(".*")) for part in wanted if part.operator != "==="]


def _unreadable(requirement: object) -> InvalidRequirement:
    return InvalidRequirement(f"a version is an int or a str, not {brief(requirement)}")
