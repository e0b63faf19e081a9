"""Older states of a module that are kept, and what going back to one came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version


class Since(StrEnum):
    """What a rollback to a generation does about the entities that were born or ended since."""

    KEEP = "keep"
    """The born stay, as they are, and the ended stay ended."""
    UNDO = "undo"
    """The born are ended and the ended live again: the population is that of the generation."""


@dataclass(frozen=True)
class GenerationRecord:
    """An older state of a module, which is kept: a rollback can go back to it."""

    module: str
    number: int
    """The number of the tick before which it was taken."""
    at: float
    """The clock's time then."""
    entities: Mapping[Version, int]
    """How many each version had that was loaded then."""
    bytes: int
    """The memory it holds, measured."""
    left: bool
    """Whether a rollback has gone back behind it since: it may hold what that one was to undo."""


@dataclass(frozen=True)
class Restored:
    """What going back to a generation did to the entities of a module."""

    generation: int
    """Its number."""
    at: float
    """The clock's time when it was taken."""
    since: Since
    restored: int
    """How many lived then and lived now: they have the values of then."""
    born: int
    """How many were born since: they stayed as they were, or were ended, as `since` says."""
    gone: int
    """How many ended since: they stayed ended, or live again, as `since` says."""
    document: bool
    """Whether the target's worker was started anew with the document of then."""
    restored_ids: NDArray[np.int64] = field(repr=False, compare=False)
    born_ids: NDArray[np.int64] = field(repr=False, compare=False)
    gone_ids: NDArray[np.int64] = field(repr=False, compare=False)
