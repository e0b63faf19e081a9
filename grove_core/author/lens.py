"""Lenses: reversible steps of a migration, as data that the engine carries out itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from grove_core.author.schema import Scalar


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


Step = Add | Drop | Rename | Scale | Cast | Recode


class Lens(msgspec.Struct, frozen=True):
    """Steps that turn the schema of every version in `source` into exactly that of those in `target`.

    `source` and `target` are specifiers, such as "==1.*". The way back comes with it.
    """

    source: str
    target: str
    steps: Sequence[Step] = ()
