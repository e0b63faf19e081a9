"""Versions and what a caller may write for one.

`1` (or "1") is a major number; "2.0.0" is exact; every other string is a specifier.
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from grove_core.base.errors import InvalidRequirement

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
        raise InvalidRequirement(f"a version is an int or a str, not {requirement!r}")
    text = str(requirement).strip()
    try:
        if text.isdecimal():
            return SpecifierSet(f"=={int(text)}.*")
        return SpecifierSet(f"=={Version(text)}")
    except InvalidVersion:
        pass
    try:
        if not text:
            raise InvalidSpecifier(text)
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise InvalidRequirement(
            f"{requirement!r} is not a version; write a major number (1), an exact version ('2.0.0') "
            f"or a specifier ('>=1.2,<2')"
        ) from None


def matching(requirement: Requirement, versions: Iterable[Version]) -> list[Version]:
    """Return the versions that fit, lowest first. A pre-release fits only where the requirement names one.

    packaging's default would let pre-releases in when nothing else fits, so the choice is always passed.

    Raises:
        InvalidRequirement: see `specifier`.
    """
    wanted = specifier(requirement)
    named = any(Version(part.version.removesuffix(".*")).is_prerelease for part in wanted if part.operator != "===")
    return sorted(v for v in set(versions) if wanted.contains(v, prereleases=named))


def satisfies(version: Version, text: str) -> bool:
    """Tell whether a version lies within the specifier a lens names; pre-releases included."""
    return SpecifierSet(text).contains(version, prereleases=True)
