"""What the suites show to a part: examples drawn by hypothesis, always the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from packaging.version import Version

from grove_core.author.lens import Endpoint
from grove_core.author.schema import Columns, ColumnSpec, Schema
from grove_core.base.health import BreakerState, Health
from grove_core.base.records import Fault, FaultKind, Role, VersionUse
from grove_core.parts.contracts import NEW, Population
from grove_core.routing.shares import for_births, keys, quotas, salt, with_pins

MODULE = "ledger"
LARGEST = 10**6
"""How large numbers are where no rule bounds them."""
VERSIONS = tuple(map(Version, ("1.0.0", "1.0.1", "1.4", "2.0.0rc1", "2.0.0", "10.2.3")))

same_for_all = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)
"""One test runs for many parts, and a part that passes once passes always."""


@dataclass(frozen=True)
class Question:
    """What a router is asked."""

    population: Population
    quota: NDArray[np.int64]

    @property
    def size(self) -> int:
        """The number of entities."""
        return len(self.population.ids)

    @property
    def versions(self) -> int:
        """The number of versions."""
        return len(self.population.versions)

    def in_order(self, order: NDArray[np.int64]) -> Question:
        """Return the same entities in another order."""
        columns: dict[str, Any] = {name: frozen(getattr(self.population, name)[order]) for name in COLUMNS}
        return replace(self, population=replace(self.population, **columns))

    def to_write_in(self) -> Question:
        """Return a copy whose arrays can be written."""
        columns = {name: getattr(self.population, name).copy() for name in COLUMNS}
        return Question(replace(self.population, **columns), self.quota.copy())

    def bytes(self) -> dict[str, bytes]:
        """Return the content of every array."""
        return {"quota": self.quota.tobytes()} | {name: getattr(self.population, name).tobytes() for name in COLUMNS}


COLUMNS = tuple(field.name for field in fields(Population) if field.name not in ("versions", "weights"))


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Make an array read only, as it is in the engine, and return it."""
    array.flags.writeable = False
    return array


def question(
    weights: Sequence[float],
    quota: ArrayLike,
    *,
    ids: ArrayLike = (),
    keys: ArrayLike = (),
    current: ArrayLike = NEW,
    arrival: ArrayLike = 0,
    origin: ArrayLike = NEW,
) -> Question:
    """Ask about entities of the first versions there are. Weights count in proportion; scalars are repeated."""
    whole, known = sum(weights), np.array(ids, np.int64)
    pasts = ((current, np.int32), (arrival, np.int64), (origin, np.int32))
    columns = (known, np.array(keys, np.uint64), *(np.full(known.shape, past, dtype) for past, dtype in pasts))
    shares = tuple(weight / whole for weight in weights)
    return Question(
        Population(VERSIONS[: len(weights)], shares, *(frozen(column) for column in columns)),
        frozen(np.array(quota, np.int64)),
    )


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Draw a split (entities are in versions, some may be new, others are pinned and left out) or births."""
    weights = draw(st.lists(st.integers(0, 10), min_size=1, max_size=5).filter(any))
    versions, size = len(weights), draw(st.integers(0, 20) | st.integers(0, 300))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = chance.permutation(chance.integers(-(2**63), 2**63 - 1, size, np.int64, endpoint=True))
    keys = chance.integers(0, 2**64 - 1, size, np.uint64, endpoint=True)
    if size > 1 and draw(st.booleans()):  # the ends of both ranges
        ids[:2], keys[-2:] = (-(2**63), 2**63 - 1), (0, 2**64 - 1)
    if draw(st.booleans()):
        others = draw(st.lists(st.integers(0, 30), min_size=versions, max_size=versions))
        return question(weights, for_births(weights, others, size), ids=ids, keys=keys)
    pins = draw(st.just([0] * versions) | st.lists(st.integers(0, 5), min_size=versions, max_size=versions))
    quota, _ = with_pins(weights, pins, size + sum(pins))
    current, origin = chance.integers(draw(st.sampled_from([NEW, 0])), versions, (2, size))
    return question(
        weights, quota, ids=ids, keys=keys, current=current, arrival=chance.integers(0, 4, size), origin=origin
    )


def large_question(size: int) -> Question:
    """Ask about `size` entities that are to be shared out anew among three versions."""
    ids, weights = np.arange(size), (0.5, 0.3, 0.2)
    return question(weights, quotas(weights, size), ids=ids, keys=keys(ids, salt(MODULE)), current=ids % 2)


@st.composite
def uses_at(draw: st.DrawFn, now: float = 1000.0) -> tuple[VersionUse, ...]:
    """Draw how the loaded versions of one module are used at `now`; one of them is stable."""
    loaded = sorted(draw(st.lists(st.sampled_from(VERSIONS), min_size=1, unique=True)))
    stable = draw(st.sampled_from(loaded))
    previous = draw(st.none() | st.sampled_from(loaded))
    return tuple(_use(draw, version, version == stable, version == previous, now) for version in loaded)


def _use(draw: st.DrawFn, version: Version, stable: bool, previous: bool, now: float) -> VersionUse:
    weight = draw(st.sampled_from([0.0, 0.0, 0.1, 1.0]))
    entities = draw(st.sampled_from([0, 0, 1, 100_000]))
    busy = bool(weight or entities)
    role = Role.STABLE if stable else Role.PREVIOUS if previous else Role.CANARY if busy else Role.IDLE
    idle_since = None if busy else draw(st.floats(0.0, now))
    return VersionUse(
        MODULE,
        version,
        role,
        weight,
        entities,
        idle_since,
        draw(st.integers(0, 2)),
        _health(draw),
        draw(st.sampled_from(BreakerState)),
    )


def _health(draw: st.DrawFn) -> Health:
    ticks = draw(st.sampled_from([0, 1, 7, 100, 10**6]))
    lost = draw(st.integers(0, ticks))
    calls = min(ticks, 100) * draw(st.sampled_from([1, 10, 1000]))
    errors = draw(st.integers(0, calls))
    firsts = draw(st.integers(0, errors))
    return Health(calls, errors, ticks, lost, max(calls, firsts), firsts, min(calls, 10), draw(st.integers(0, ticks)))


@st.composite
def faults(draw: st.DrawFn) -> tuple[Fault, tuple[VersionUse, ...], Version | None]:
    """Draw what a fault policy is asked: a fault of a loaded version, all uses, and the previous stable version."""
    uses = draw(uses_at())
    faulty = draw(st.sampled_from(uses))
    shown = next((use.version for use in uses if use.role is Role.PREVIOUS), None)
    unloaded = [version for version in VERSIONS if version not in {use.version for use in uses}]
    previous = shown or draw(st.sampled_from([None, *unloaded]))
    fault = Fault(
        MODULE,
        faulty.version,
        draw(st.sampled_from(FaultKind)),
        draw(st.text(max_size=20)),
        draw(st.integers(0, 10**6)),
        faulty.entities,
        draw(st.none() | st.just("Traceback (most recent call last): ...")),
    )
    return fault, uses, previous


@st.composite
def endpoints(draw: st.DrawFn) -> Endpoint:
    """Draw one end of a migration: any version, and columns of any dtype."""
    dtypes = st.sampled_from(["?", "i1", "u2", "i4", "i8", "f4", "f8"])
    columns = draw(st.dictionaries(st.sampled_from("xyzw"), dtypes, max_size=4))
    return Endpoint(draw(st.sampled_from(VERSIONS)), Schema(**columns))


def rows_of(schema: Schema, rows: int, chance: np.random.Generator) -> Columns:
    """Return columns of a schema, read only, with any values that its rules allow."""
    return {spec.name: frozen(_values(spec, rows, chance)) for spec in schema.specs}


def _values(spec: ColumnSpec, rows: int, chance: np.random.Generator) -> NDArray[Any]:
    dtype, column = spec.dtype, spec.column
    if dtype.kind == "b":
        return chance.integers(0, 2, rows).astype(dtype)
    low = -LARGEST if column.low is None else column.low
    high = max(low, LARGEST) if column.high is None else column.high
    if dtype.kind == "f":
        values = chance.uniform(min(low, high), high, rows).astype(dtype)
        if column.nan:
            values[: rows // 8] = np.nan
        return values
    bounds = np.iinfo(dtype)
    return chance.integers(max(int(low), bounds.min), min(int(high), bounds.max), rows, dtype, endpoint=True)
