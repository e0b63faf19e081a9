"""Plain Python: the entities of each version in a dict, as objects with slots or as dicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Plain(Protocol):
    """What both ways can do."""

    def tick(self, dt: float) -> None:
        """Move every entity of version 1."""
        ...

    def move(self) -> None:
        """Give the chosen entities to version 2."""
        ...

    def migrate(self) -> None:
        """Give every entity to version 2."""
        ...

    def take_back(self) -> None:
        """Give every entity of version 2 back to version 1."""
        ...


@dataclass(slots=True)
class One:
    """An entity of version 1."""

    x: float
    y: float
    vx: float
    vy: float


@dataclass(slots=True)
class Two:
    """An entity of version 2."""

    x: float
    y: float
    vx: float
    vy: float
    collided: bool


class Objects:
    """Objects with slots: an entity that changes its version becomes an object of another class."""

    def __init__(self, columns: Mapping[str, NDArray[np.float32]], moved: float) -> None:
        rows = zip(*(columns[name].tolist() for name in ("x", "y", "vx", "vy")), strict=True)
        self._one = {key: One(*row) for key, row in enumerate(rows)}
        self._two: dict[int, Two] = {}
        self._chosen = _chosen(len(self._one), moved)

    def tick(self, dt: float) -> None:
        """Move every entity of version 1."""
        for entity in self._one.values():
            entity.x += entity.vx * dt
            entity.y += entity.vy * dt

    def move(self) -> None:
        """Give the chosen entities to version 2."""
        one, two = self._one, self._two
        for key in self._chosen:
            entity = one.pop(key)
            two[key] = Two(entity.x, entity.y, entity.vx, entity.vy, False)

    def migrate(self) -> None:
        """Give every entity to version 2."""
        self._two = {key: Two(each.x, each.y, each.vx, each.vy, False) for key, each in self._one.items()}
        self._one = {}

    def take_back(self) -> None:
        """Give every entity of version 2 back to version 1."""
        self._one |= {key: One(each.x, each.y, each.vx, each.vy) for key, each in self._two.items()}
        self._two = {}


class Dicts:
    """A dict an entity: one that changes its version gets a key more."""

    def __init__(self, columns: Mapping[str, NDArray[np.float32]], moved: float) -> None:
        names = ("x", "y", "vx", "vy")
        rows = zip(*(columns[name].tolist() for name in names), strict=True)
        self._one: dict[int, dict[str, Any]] = {key: dict(zip(names, row, strict=True)) for key, row in enumerate(rows)}
        self._two: dict[int, dict[str, Any]] = {}
        self._chosen = _chosen(len(self._one), moved)

    def tick(self, dt: float) -> None:
        """Move every entity of version 1."""
        for entity in self._one.values():
            entity["x"] += entity["vx"] * dt
            entity["y"] += entity["vy"] * dt

    def move(self) -> None:
        """Give the chosen entities to version 2."""
        one, two = self._one, self._two
        for key in self._chosen:
            two[key] = {**one.pop(key), "collided": False}

    def migrate(self) -> None:
        """Give every entity to version 2."""
        self._two = {key: {**each, "collided": False} for key, each in self._one.items()}
        self._one = {}

    def take_back(self) -> None:
        """Give every entity of version 2 back to version 1."""
        for key, each in self._two.items():
            del each["collided"]
            self._one[key] = each
        self._two = {}


def _chosen(count: int, moved: float) -> list[int]:
    ids: list[int] = np.random.default_rng(2).permutation(count)[: int(moved * count)].tolist()
    return ids
