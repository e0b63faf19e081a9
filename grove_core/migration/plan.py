"""A lens, compiled for two schemas: where each column of the target comes from, and what is left behind."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from grove_core.author.lens import Add, Cast, Drop, Lens, Recode, Rename, Scale, Step
from grove_core.author.schema import KINDS, Scalar, Schema
from grove_core.base.errors import LensError
from grove_core.migration.conversions import Casting, Conversion, DType, Recoding, Scaling, holds
from grove_core.migration.kin import Kin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version


@dataclass(frozen=True)
class Endpoint:
    """One end of a hop: a version and its schema."""

    version: Version
    schema: Schema


@dataclass(frozen=True)
class Passed:
    """The target's column is the source's column `source`, bit for bit."""

    source: str


@dataclass(frozen=True)
class Converted:
    """The target's column is the source's column `source`, after `conversions` in their order."""

    source: str
    conversions: tuple[Conversion, ...]


@dataclass(frozen=True)
class Added:
    """The source has nothing for the target's column: what was carried, or `default`."""

    default: Scalar


Origin = Passed | Converted | Added


@dataclass(frozen=True)
class Hop:
    """One edge from one endpoint to the next, compiled.

    Every column of the source is passed, converted or dropped exactly once, so a hop can be turned round.
    """

    source: Endpoint
    target: Endpoint
    columns: Mapping[str, Origin]
    """For each column of the target, in its schema's order, where it comes from."""
    dropped: tuple[str, ...]
    """Columns of the source that the target lacks."""
    source_spec: str
    """The specifier of the lens's side that the source is on."""
    target_spec: str
    """The specifier of the lens's side that the target is on."""
    kin: Kin = field(default_factory=Kin, compare=False, repr=False)
    """Which columns of other versions are the same as one of these; a `LensGraph` knows."""

    def inverse(self) -> Hop:
        """Return the way back; a column it adds gets the default of its own schema."""
        back: dict[str, Origin] = {name: Added(self.source.schema[name].column.default) for name in self.dropped}
        for name, origin in self.columns.items():
            if isinstance(origin, Passed):
                back[origin.source] = Passed(name)
            elif isinstance(origin, Converted):
                undone = tuple(conversion.inverse() for conversion in reversed(origin.conversions))
                back[origin.source] = Converted(name, undone)
        added = tuple(name for name, origin in self.columns.items() if isinstance(origin, Added))
        ordered = {name: back[name] for name in self.source.schema.names}
        return Hop(self.target, self.source, ordered, added, self.target_spec, self.source_spec, self.kin)


def equal_columns(one: Schema, other: Schema) -> bool:
    """Tell whether two schemas have the same names with the same dtypes, in whatever order."""
    return one.dtypes == other.dtypes


def identity_hop(source: Endpoint, target: Endpoint) -> Hop:
    """Return the hop between two versions with equal columns, which needs no lens.

    Raises:
        LensError: the columns differ.
    """
    if not equal_columns(source.schema, target.schema):
        raise LensError(
            f"{source.version} and {target.version} have different columns; declare a Lens between them",
            version=target.version,
        )
    columns: dict[str, Origin] = {name: Passed(name) for name in target.schema.names}
    return Hop(source, target, columns, (), f"=={source.version}", f"=={target.version}")


def compile_hop(
    lens: Lens,
    source: Endpoint,
    target: Endpoint,
    *,
    module: str | None = None,
    declared_by: Version | None = None,
) -> Hop:
    """Walk the lens's steps over the source's schema; they must end in exactly the target's.

    Args:
        module: the module, for the error.
        declared_by: the version that declares the lens, for the error; the target if it is not given.

    Raises:
        LensError: a step or a column does not fit; it names both versions, the column, and what to do.
    """
    try:
        walk = _Walk(source.schema)
        for step in lens.steps:
            walk.take(step)
        columns = walk.finish(target.schema)
    except _Misfit as misfit:
        raise LensError(
            f"the lens {lens.source!r} -> {lens.target!r} does not lead from {source.version} to "
            f"{target.version}: {misfit}",
            module=module,
            version=declared_by or target.version,
        ) from None
    return Hop(source, target, columns, tuple(walk.dropped), lens.source, lens.target)


class _Misfit(Exception):
    """What does not fit, before it is known where."""


class _Walk:
    """The columns as they are after the steps taken so far."""

    def __init__(self, source: Schema) -> None:
        self.origins: dict[str, Origin] = {name: Passed(name) for name in source.names}
        self.dtypes: dict[str, DType] = source.dtypes
        self.added: dict[str, Scalar | None] = {}
        self.dropped: list[str] = []

    def take(self, step: Step) -> None:
        """Carry out one step on names and dtypes."""
        match step:
            case Add(name, default):
                self._must_be_free(name, step)
                self.added[name] = default
            case Drop(name):
                self.dropped.append(self._existing(name, step).source)
                del self.origins[name], self.dtypes[name]
            case Rename(old, new):
                self._existing(old, step)
                self._must_be_free(new, step)
                self.origins[new] = self.origins.pop(old)
                self.dtypes[new] = self.dtypes.pop(old)
            case Scale(name, factor, offset):
                self._existing(name, step)
                dtype = self.dtypes[name]
                number, shift = _finite(factor, "factor", step), _finite(offset, "offset", step)
                if number == 0:
                    raise _Misfit(f"{step} has the factor 0, which has no way back; give another, or Drop and Add")
                self._convert(name, Scaling(dtype, dtype, number, shift))
            case Cast(name, text):
                self._existing(name, step)
                self._cast(name, _dtype(text, step))
            case Recode(name, codes):
                self._existing(name, step)
                dtype = self.dtypes[name]
                for code in (*codes.keys(), *codes.values()):
                    if not holds(dtype, code):
                        raise _Misfit(f"{step}: {dtype.name} cannot hold {code!r}; Cast {name!r} first, or change it")
                self._convert(name, Recoding(dtype, tuple(codes.keys()), tuple(codes.values())))
            case _:
                raise _Misfit(f"{step!r} is no step; use Add, Drop, Rename, Scale, Cast or Recode")

    def finish(self, target: Schema) -> dict[str, Origin]:
        """Return the origin of each column of the target, in its order."""
        for name in (*self.origins, *self.added):
            if name not in target:
                raise _Misfit(f"column {name!r} is left over, which the target's schema lacks; Drop or Rename it")
        for spec in target.specs:
            if spec.name in self.added:
                self.origins[spec.name] = _added(spec.name, self.added[spec.name], target)
            elif spec.name not in self.origins:
                raise _Misfit(f"column {spec.name!r} of the target's schema comes from nowhere; Add it or Rename to it")
            elif (dtype := self.dtypes[spec.name]) != spec.dtype:
                raise _Misfit(
                    f"column {spec.name!r} ends as {dtype.name}, the target's schema has {spec.dtype.name}; "
                    f"add Cast({spec.name!r}, {spec.dtype.name!r})"
                )
        return {name: self.origins[name] for name in target.names}

    def _existing(self, name: str, step: Step) -> Passed | Converted:
        origin = self.origins.get(name)
        if isinstance(origin, Passed | Converted):
            return origin
        if name in self.added:
            raise _Misfit(f"{step}: column {name!r} was added by this lens; Add it as it shall be")
        known = ", ".join(self.origins) or "none"
        raise _Misfit(f"{step}: there is no column {name!r} at this step; there are: {known}")

    def _must_be_free(self, name: str, step: Step) -> None:
        if name in self.origins or name in self.added:
            raise _Misfit(f"{step}: there is a column {name!r} already at this step; Drop or Rename it first")

    def _convert(self, name: str, conversion: Conversion) -> None:
        origin = self._existing(name, Drop(name))
        done = origin.conversions if isinstance(origin, Converted) else ()
        self.origins[name] = Converted(origin.source, (*done, conversion))
        self.dtypes[name] = conversion.target

    def _cast(self, name: str, dtype: DType) -> None:
        origin, before = self._existing(name, Drop(name)), self.dtypes[name]
        if before == dtype:
            return
        last = origin.conversions[-1] if isinstance(origin, Converted) else None
        if isinstance(origin, Converted) and isinstance(last, Scaling) and last.source == last.target:
            # A scaled value goes straight from float64 to the dtype: no rounding to the old one in between.
            fused = Scaling(last.source, dtype, last.factor, last.offset)
            self.origins[name] = Converted(origin.source, (*origin.conversions[:-1], fused))
            self.dtypes[name] = dtype
        else:
            self._convert(name, Casting(before, dtype))


def _finite(value: float, what: str, step: Step) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _Misfit(f"{step}: the {what} must be a finite number, not {value!r}")
    return number


def _dtype(text: str, step: Step) -> DType:
    try:
        dtype = np.dtype(text).newbyteorder("=")
    except TypeError:
        raise _Misfit(f"{step}: {text!r} is no dtype; write one such as 'f4', 'i8' or '?'") from None
    if dtype.kind not in KINDS or dtype.itemsize > 8:
        raise _Misfit(f"{step}: no column can have the dtype {text!r}; use a bool, int or float up to 8 bytes")
    return dtype


def _added(name: str, default: Scalar | None, target: Schema) -> Added:
    spec = target[name]
    if default is None:
        return Added(spec.column.default)
    if not holds(spec.dtype, default):
        raise _Misfit(f"Add({name!r}): {spec.dtype.name} cannot hold the default {default!r}; give one it can")
    if broken := spec.column.broken_rule(np.array([default], spec.dtype)):
        raise _Misfit(f"Add({name!r}): the default {broken}; give one that the schema allows")
    return Added(default)
