"""Compiling a lens: its steps are walked over the one schema, and must end in exactly the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from grove_core.author.lens import Add, Cast, Direction, Drop, Lens, MapSpec, Recode, Rename, Scale, Step
from grove_core.author.schema import KINDS, Scalar, Schema, read_dtype
from grove_core.base.errors import LensError
from grove_core.migration.conversions import Casting, Conversion, DType, Recoding, Scaling, holds
from grove_core.migration.plan import (
    Absent,
    Added,
    Converted,
    Endpoint,
    Hop,
    Joint,
    LensFunction,
    Made,
    Origin,
    Passed,
)

if TYPE_CHECKING:
    from packaging.version import Version


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
        declared_by: the version that declares the lens, and whose functions it has; the target if not given.

    Raises:
        LensError: a step or a column does not fit; it names both versions, the column, and what to do.
    """
    version = declared_by or target.version
    try:
        walk = _Walk(source.schema, version)
        for step in lens.steps:
            walk.take(step)
        columns = walk.finish(target.schema)
    except _Misfit as misfit:
        raise LensError(
            f"the lens {lens.source!r} -> {lens.target!r} does not lead from {source.version} to "
            f"{target.version}: {misfit}",
            module=module,
            version=version,
        ) from None
    return Hop(
        source,
        target,
        columns,
        tuple(walk.dropped),
        lens.source,
        lens.target,
        joints=tuple(walk.joints),
        module=module,
    )


class _Misfit(Exception):
    """What does not fit, before it is known where."""


class _Walk:
    """The columns as they are after the steps taken so far."""

    def __init__(self, source: Schema, declared_by: Version) -> None:
        self.origins: dict[str, Origin] = {name: Passed(name) for name in source.names}
        self.dtypes: dict[str, DType] = dict(source.dtypes)
        self.added: dict[str, Scalar | None] = {}
        self.dropped: list[str] = []
        self.joints: list[Joint] = []
        self._declared_by = declared_by

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
            case Scale():
                self._scale(step)
            case Cast(name, text):
                self._existing(name, step)
                self._cast(name, _dtype(text, step))
            case Recode():
                self._recode(step)
            case MapSpec():
                self._map(step)
            case _:
                raise _Misfit(f"{step!r} is no step; use Add, Drop, Rename, Scale, Cast, Recode or Map")

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
            elif isinstance(self.origins[spec.name], Made):
                continue  # it is made in the target's dtype
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
        if isinstance(origin, Made):
            raise _Misfit(f"{step}: column {name!r} was made by a Map of this lens; Map to it as it shall be")
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

    def _scale(self, step: Scale) -> None:
        self._existing(step.name, step)
        dtype = self.dtypes[step.name]
        factor, offset = _finite(step.factor, "factor", step), _finite(step.offset, "offset", step)
        if factor == 0:
            raise _Misfit(f"{step} has the factor 0, which has no way back; give another, or Drop and Add")
        self._convert(step.name, Scaling(dtype, dtype, factor, offset))

    def _recode(self, step: Recode) -> None:
        self._existing(step.name, step)
        dtype = self.dtypes[step.name]
        for code in (*step.codes.keys(), *step.codes.values()):
            if not holds(dtype, code):
                raise _Misfit(f"{step}: {dtype.name} cannot hold {code!r}; Cast {step.name!r} first, or change it")
        self._convert(step.name, Recoding(dtype, tuple(step.codes.keys()), tuple(step.codes.values())))

    def _map(self, step: MapSpec) -> None:
        """Consume the sources and make the targets; a source that is a target is consumed and made anew."""
        takes: dict[str, str] = {}
        for name in step.sources:
            origin = self._existing(name, step)
            if not isinstance(origin, Passed):
                raise _Misfit(f"{step}: column {name!r} was converted before; convert it in the functions of the Map")
            takes[name] = origin.source
            del self.origins[name], self.dtypes[name]
        for name in step.targets:
            self._must_be_free(name, step)
            self.origins[name] = Made(len(self.joints))
        here = (self._declared_by, step.lens, step.step)
        back = LensFunction(*here, Direction.BACKWARD) if step.reversible else Absent.IRREVERSIBLE
        gives = {name: name for name in step.targets}
        self.joints.append(Joint(takes, gives, LensFunction(*here, Direction.FORWARD), back))

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
    dtype = read_dtype(text)
    if dtype is None:
        raise _Misfit(f"{step}: {text!r} is no dtype; write one such as 'f4', 'i8' or '?'")
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
