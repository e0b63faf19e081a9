"""Modules that need each other, as packages written on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .sources import version

STAMPED = """
e.began = time.monotonic_ns()
e.n += 1
e.ended = time.monotonic_ns()
"""
"""Its clock is the same in every process: what ended before another began was before it."""


def module(needs: Sequence[str] = (), process: str = STAMPED, body: str = "", **rest: Any) -> str:
    """Return the source of a version that needs these."""
    asks = f"def get_dependencies(self): return {list(needs)!r}"
    return version(process, schema='n="i8", began="i8", ended="i8"', body=f"{asks}\n{body}", **rest)


Sources = Mapping[str, Mapping[str, str]]
"""Module -> version -> source."""


def folders_of(package: Any, sources: Sources) -> list[Any]:
    """Write these packages."""
    return [package(name, number, source) for name, those in sources.items() for number, source in those.items()]
