"""Lenses: reversible steps of a migration.

All of them are data that the engine carries out itself, but for `Map`: its functions stay with the version that
declares it, and a worker of that version runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from numpy.typing import ArrayLike

from grove_core.author.schema import Scalar, Schema
from grove_core.base.errors import LensError

if TYPE_CHECKING:
    from packaging.version import Version


class Add(msgspec.Struct, frozen=True, tag=True):
    """The target has a column that the source lacks; it gets `default`, or the column's own."""

    name: str
    default: Scalar | None = None


class Drop(msgspec.Struct, frozen=True, tag=True):
    """The source has a column that the target lacks; it is carried, and comes back."""

    name: str


class Rename(msgspec.Struct, frozen=True, tag=True):
    """The source's column `old` is the target's column `new`; its values stay as they are."""

    old: str
    new: str


class Scale(msgspec.Struct, frozen=True, tag=True):
    """The target's value is the source's times `factor` plus `offset`, computed in float64."""

    name: str
    factor: float
    offset: float = 0.0


class Cast(msgspec.Struct, frozen=True, tag=True):
    """The target's column has another dtype. Floats become the nearest integers; what is out of range saturates."""

    name: str
    dtype: str


class Recode(msgspec.Struct, frozen=True, tag=True):
    """The target's value is `codes[source's value]`; a value without a code stays as it is.

    Backwards the first key with that code is taken.
    """

    name: str
    codes: dict[Scalar, Scalar]


class Direction(StrEnum):
    """Which of the two functions of a `Map` is meant."""

    FORWARD = "forward"
    BACKWARD = "backward"


Result = Mapping[str, ArrayLike] | ArrayLike
"""What a function of a `Map` returns: name -> values, or the values alone where there is one name."""


class Map(msgspec.Struct, frozen=True, tag=True):
    """The target's columns `targets` are made of the source's columns `sources`, by functions.

    `forward(**sources)` gets one array a source, read only, in the source's dtypes, and returns one a target;
    `backward(**targets)` is the way back. Rows are independent of each other: the functions may be called with
    any of them, in any order. They run in a fresh process of the version that declares the lens, without
    `initialize`. A source that is no target is consumed; one that stays must be a target as well. Without
    `backward` the lens cannot be gone back, unless it is forced.

    Raises:
        LensError: no names, a name that stands twice, or no functions.
    """

    sources: str | Sequence[str]
    targets: str | Sequence[str]
    forward: Callable[..., Result]
    backward: Callable[..., Result] | None = None

    def __post_init__(self) -> None:
        for side, names in (("sources", _names(self.sources)), ("targets", _names(self.targets))):
            if not names or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
                raise LensError(f"Map: {side} must be names of columns, at least one, each once, not {names!r}")
        if not callable(self.forward) or not (self.backward is None or callable(self.backward)):
            raise LensError(f"Map({self.sources!r}, {self.targets!r}): forward and backward must be functions")

    def run(self, direction: Direction, columns: Mapping[str, ArrayLike]) -> Mapping[str, ArrayLike]:
        """Call the function for a direction, and return what it gives, by name.

        Raises:
            LensError: there is no such function, or it does not return its columns, each once.
        """
        function, given = (
            (self.forward, self.targets) if direction is Direction.FORWARD else (self.backward, self.sources)
        )
        names = _names(given)
        if function is None:
            raise LensError(f"Map({self.sources!r}, {self.targets!r}) has no {direction.value}")
        returned = function(**columns)
        if not isinstance(returned, Mapping) and len(names) == 1:
            return {names[0]: returned}
        if not isinstance(returned, Mapping) or returned.keys() != set(names):
            told = ", ".join(map(str, returned)) if isinstance(returned, Mapping) else type(returned).__name__
            raise LensError(f"{direction.value} must return the columns {', '.join(names)}; it returned {told}")
        return returned


class MapSpec(msgspec.Struct, frozen=True, tag=True):
    """A `Map` as it crosses the wire: names, and where its functions stand in its version's lenses."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    reversible: bool
    lens: int
    step: int

    def __str__(self) -> str:
        return f"Map({self.sources!r}, {self.targets!r})"


Step = Add | Drop | Rename | Scale | Cast | Recode | Map | MapSpec


class Lens(msgspec.Struct, frozen=True):
    """Steps that turn the schema of every version in `source` into exactly that of those in `target`.

    `source` and `target` are specifiers, such as "==1.*". The way back comes with it.
    """

    source: str
    target: str
    steps: Sequence[Step] = ()


def as_data(lenses: Sequence[Lens]) -> tuple[Lens, ...]:
    """Return the lenses of a version without functions: what crosses the wire.

    Raises:
        TypeError: something else is among them.
    """
    for lens in lenses:
        if not isinstance(lens, Lens):
            raise TypeError(f"lenses must hold Lens objects, not {lens!r}")
    return tuple(
        msgspec.structs.replace(lens, steps=[_as_data(step, number, place) for place, step in enumerate(lens.steps)])
        for number, lens in enumerate(lenses)
    )


def _as_data(step: Step, lens: int, place: int) -> Step:
    if not isinstance(step, Map):
        return step
    return MapSpec(_names(step.sources), _names(step.targets), step.backward is not None, lens, place)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


@dataclass(frozen=True)
class Endpoint:
    """One end of a migration: a version and its schema."""

    version: Version
    schema: Schema
