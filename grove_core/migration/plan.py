"""A hop from one version to the next: where each column of the target comes from, and what is left behind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from grove_core.author.lens import Direction, Endpoint
from grove_core.author.schema import Scalar, Schema
from grove_core.base.errors import LensError, MigrationRefused
from grove_core.migration.conversions import Conversion
from grove_core.migration.kin import Kin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.version import Version

__all__ = [
    "Absent",
    "Added",
    "Converted",
    "Endpoint",
    "Function",
    "Hop",
    "Joint",
    "LensFunction",
    "Made",
    "MigratorFunction",
    "Origin",
    "Passed",
    "equal_columns",
    "identity_hop",
    "migrator_hop",
    "passing",
    "refuse_irreversible",
]


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


@dataclass(frozen=True)
class Made:
    """The target's column is made by a function, together with others: it is one of the hop's `joints[joint]`."""

    joint: int


Origin = Passed | Converted | Added | Made


@dataclass(frozen=True)
class LensFunction:
    """One of the functions of a `Map`: whose it is, and where it stands in that version's lenses."""

    version: Version
    lens: int
    step: int
    direction: Direction


@dataclass(frozen=True)
class MigratorFunction:
    """The `migrate` of a migrator, and its place in the setting `migrators`."""

    name: str
    place: int


class Absent(Enum):
    """Why there is no function to run."""

    IRREVERSIBLE = "irreversible"
    """Nobody wrote one: rows are refused."""
    FORCED = "forced"
    """Nobody wrote one, and rows go all the same: with what they carry, else with defaults."""


Function = LensFunction | MigratorFunction | Absent


@dataclass(frozen=True)
class Joint:
    """Columns that a function makes out of others: all of them at once."""

    takes: Mapping[str, str]
    """The function's name for a column -> the column of the hop's source."""
    gives: Mapping[str, str]
    """The function's name for a column -> the column of the hop's target."""
    there: Function
    back: Function

    def inverse(self) -> Joint:
        """Return the way back."""
        return Joint(self.gives, self.takes, self.back, self.there)

    def forced(self) -> Joint:
        """Return the same without refusals on the way there."""
        return replace(self, there=Absent.FORCED) if self.there is Absent.IRREVERSIBLE else self


@dataclass(frozen=True)
class Hop:
    """One edge from one endpoint to the next, compiled.

    Every column of the source is passed, converted, taken by a joint or dropped exactly once, so a hop can be
    turned round.
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
    joints: tuple[Joint, ...] = ()
    """What functions make; the target's columns that are `Made`."""
    module: str | None = field(default=None, compare=False)
    """Whose versions they are, for errors."""

    @property
    def irreversible(self) -> bool:
        """Whether nobody wrote a function that this way needs."""
        return any(joint.there is Absent.IRREVERSIBLE for joint in self.joints)

    def forced(self) -> Hop:
        """Return the same hop, which refuses nothing: what cannot be made is what rows carry, else the default."""
        return replace(self, joints=tuple(joint.forced() for joint in self.joints)) if self.irreversible else self

    def inverse(self) -> Hop:
        """Return the way back; a column it adds gets the default of its own schema."""
        back: dict[str, Origin] = {name: Added(self.source.schema[name].column.default) for name in self.dropped}
        for name, origin in self.columns.items():
            if isinstance(origin, Passed):
                back[origin.source] = Passed(name)
            elif isinstance(origin, Converted):
                undone = tuple(conversion.inverse() for conversion in reversed(origin.conversions))
                back[origin.source] = Converted(name, undone)
        for number, joint in enumerate(self.joints):
            back.update(dict.fromkeys(joint.takes.values(), Made(number)))
        added = tuple(name for name, origin in self.columns.items() if isinstance(origin, Added))
        ordered = {name: back[name] for name in self.source.schema.names}
        return Hop(
            self.target,
            self.source,
            ordered,
            added,
            self.target_spec,
            self.source_spec,
            self.kin,
            tuple(joint.inverse() for joint in self.joints),
            self.module,
        )


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


def migrator_hop(
    source: Endpoint, target: Endpoint, there: Function, back: Function, *, module: str | None = None
) -> Hop:
    """Return the direct hop that migrators make: all columns at once, out of all columns."""
    joint = Joint(
        {name: name for name in source.schema.names}, {name: name for name in target.schema.names}, there, back
    )
    columns: dict[str, Origin] = dict.fromkeys(target.schema.names, Made(0))
    specs = f"=={source.version}", f"=={target.version}"
    return Hop(source, target, columns, (), *specs, joints=(joint,), module=module)


def passing(names: Iterable[str], hops: Iterable[Hop]) -> dict[str, str]:
    """Return the target's columns that are a column of the source, bit for bit, with that column's name.

    Args:
        names: the source's columns.
        hops: the way.
    """
    passed = {name: name for name in names}
    for hop in hops:
        passed = {
            name: passed[origin.source]
            for name, origin in hop.columns.items()
            if isinstance(origin, Passed) and origin.source in passed
        }
    return passed


def refuse_irreversible(hops: Iterable[Hop]) -> None:
    """Refuse a way on which a function is missing.

    Raises:
        MigrationRefused: it names the versions, the columns, and what to do.
    """
    for hop in hops:
        for joint in hop.joints:
            if joint.there is Absent.IRREVERSIBLE:
                raise MigrationRefused(
                    f"nothing leads from {hop.source.version} to {hop.target.version}: no function makes "
                    f"{', '.join(joint.gives.values())} out of {', '.join(joint.takes.values())}. Give the Map "
                    f"between them a `backward`, or have a migrator accept this direction, or go with "
                    f"migrate_state(..., force=True): what rows carry is taken then, else the defaults",
                    module=hop.module,
                    version=hop.target.version,
                )
