"""Which columns of different versions are one and the same."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

Cell = tuple[Version, str]
"""A version and the name of one of its columns."""


class Kin:
    """Columns that lenses pass on bit for bit are kin, over any number of hops.

    Rows may go by one way and come back by another: 1 to 2 to 3 in steps, and from 3 to 1 by a lens of its
    own. What 2 dropped of 1's columns is then owned by 2, and yet it is 1's column that comes back.

    Args:
        passed: pairs of columns, each of which a hop passes from the one to the other.
    """

    def __init__(self, passed: Iterable[tuple[Cell, Cell]] = ()) -> None:
        neighbours: dict[Cell, list[Cell]] = defaultdict(list)
        for one, other in passed:
            neighbours[one].append(other)
            neighbours[other].append(one)
        self._families: dict[Cell, int] = {}
        for number, cell in enumerate(neighbours):
            if cell not in self._families:
                self._families |= dict.fromkeys(_family(cell, neighbours), number)
        self._contradicted = _contradicted(self._families)

    def same(self, one: Cell, other: Cell) -> bool:
        """Tell whether two columns are kin; not if the lenses also make kin of two columns of one version."""
        family = self._families.get(one)
        return family is not None and family == self._families.get(other) and family not in self._contradicted


def _family(cell: Cell, neighbours: dict[Cell, list[Cell]]) -> set[Cell]:
    family, open_ = {cell}, [cell]
    while open_:
        for neighbour in neighbours[open_.pop()]:
            if neighbour not in family:
                family.add(neighbour)
                open_.append(neighbour)
    return family


def _contradicted(families: dict[Cell, int]) -> frozenset[int]:
    seen: set[tuple[Version, int]] = set()
    twice: set[int] = set()
    for (version, _), family in families.items():
        if (version, family) in seen:
            twice.add(family)
        seen.add((version, family))
    return frozenset(twice)
