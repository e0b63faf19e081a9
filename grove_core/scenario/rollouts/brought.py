"""The two versions of each module that the scenarios of rollouts bring along."""

from __future__ import annotations

from packaging.version import Version

from grove_core.scenario.common.brought import Bring, Brought

ONE, TWO = Version("1.0.0"), Version("2.0.0")


def both_of(module: str) -> Brought:
    """Return a plugin that finds versions 1 and 2 of a module; its class has the same name, with a capital."""
    return Brought(
        [
            Bring(module, version, f"{__package__}.{module}_v{version.major}:{module.capitalize()}")
            for version in (ONE, TWO)
        ]
    )
