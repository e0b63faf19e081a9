"""Splits, births, deaths: which entity belongs to which version."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import Columns
from grove_core.base.errors import GroveError, InvalidWeights, OutOfMemory, PluginFailed
from grove_core.base.events import EventKind
from grove_core.base.records import MigrationReport, MoveCause, SplitReport
from grove_core.base.versions import Requirement
from grove_core.memory.table import Rows
from grove_core.migration.plan import Hop
from grove_core.migration.rows import Batch, migrate
from grove_core.parts.contracts import NEW, Population
from grove_core.routing.shares import for_births, keys, with_pins
from grove_core.runtime.rows.moves import Moved, Newcomers, Transaction, move, record
from grove_core.runtime.rows.roles import entrust, settle_roles
from grove_core.runtime.rows.ruling import Marks, drop, marks_of_newborn, naming
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import refuse_as_stable
from grove_core.runtime.state.index import find, new_ids, refuse_alive
from grove_core.runtime.state.population import LivePopulation
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.store import FREE

TOLERANCE = 0.01
"""How far the sum of weights may be from 1 to be normalised."""


def set_split(context: Context, state: ModuleState, given: Mapping[Requirement, float]) -> SplitReport:
    """Share the entities out by weight, exactly, with the fewest moves.

    Raises:
        InvalidWeights, UnknownVersion, AmbiguousVersion: the weights do not fit what is loaded.
        NoLensPath, LensError, OutOfMemory, PluginFailed: nothing moved.
    """
    began = time.perf_counter()
    weights, total = _weights(state, given)
    loaded = state.ordered
    shares = [weights.get(one.version, 0.0) for one in loaded]
    population = LivePopulation(state, loaded, shares)
    quota, excess = with_pins(shares, population.pinned, state.population)
    target = _route(state, population, quota)
    moved = _carry_out(context, state, loaded, population, target, weights)
    report = SplitReport(
        state.name,
        dict(weights),
        {one.version: one.count for one in loaded},
        moved,
        None if abs(total - 1) < 1e-9 else total,
        {one.version: int(over) for one, over in zip(loaded, excess, strict=True) if over},
        (time.perf_counter() - began) * 1000,
    )
    context.emit(
        EventKind.SPLIT_SET,
        state.name,
        weights={str(version): weight for version, weight in weights.items()},
        entities={str(version): count for version, count in report.entities.items()},
        moved=moved,
        normalised_from=report.normalised_from,
        pinned_excess={str(version): over for version, over in report.pinned_excess.items()},
        ms=round(report.ms, 3),
    )
    return report


def split_if_taken(context: Context, state: ModuleState, given: Mapping[Requirement, float]) -> SplitReport:
    """Share the entities out as `set_split` does, if what is in use of other modules takes what becomes stable.

    Raises:
        RequirementBroken: it does not; nothing moved.
        GroveError: see `set_split`.
    """
    for version, weight in _weights(state, given)[0].items():
        if weight == 1.0:
            refuse_as_stable(context.modules, state, version)
    return set_split(context, state, given)


def spawn(
    state: ModuleState, source: LoadedVersion, columns: Columns, count: int, given: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Give birth to `count` entities whose columns are of `source`'s schema; return their ids.

    Each goes to the version that a rule pins it to, else to the one with the largest deficit; nobody else moves.

    Raises:
        DuplicateEntity, NoLensPath, OutOfMemory, PluginFailed: nothing was born.
    """
    room = sum(one.table.arena.max_rows - one.count for one in state.ordered)
    if count > room:  # before anything of that length is made: a schema without columns may ask for any number
        raise OutOfMemory(
            f"there is no room for {count} newborn, only for {room}; raise max_entities", module=state.name
        )
    ids = new_ids(state, count) if given is None else given
    if given is not None:
        refuse_alive(state, ids)
    loaded, marks = state.ordered, marks_of_newborn(state, source, columns, ids)
    target = _places_of_newborn(state, loaded, ids, marks)
    if given is not None and count:
        highest = int(ids.max())
        if state.next_id <= highest < 1 << 62:
            state.next_id = highest + 1
    with Transaction(state) as transaction:
        for index, one in enumerate(loaded):
            rows = np.flatnonzero(target == index)
            if len(rows):
                batch = Batch(len(rows), {name: values[rows] for name, values in columns.items()})
                hops = state.graph.path(source.version, one.version)
                pinned = FREE if marks is None else marks[rows]
                batch = migrate(batch, hops, state.open_runner)
                transaction.bring_in(one, Newcomers(ids[rows], batch, pinned=pinned))
    return ids


def _places_of_newborn(
    state: ModuleState, loaded: list[LoadedVersion], ids: NDArray[np.int64], marks: Marks | None
) -> NDArray[np.int32]:
    """Return the index of each newborn's version: those that no rule pins fill what the others leave."""
    versions, counts = tuple(one.version for one in loaded), [one.count for one in loaded]
    target = np.full(len(ids), NEW, np.int32)
    free: Rows = slice(0, len(ids))
    if marks is not None:
        for rule in state.pin_rules:
            index = versions.index(rule.version)
            pinned = marks == rule.mark
            target[pinned] = index
            counts[index] += int(np.count_nonzero(pinned))
        free, ids = np.flatnonzero(marks == FREE), ids[marks == FREE]
    shares = [state.weights.get(one.version, 0.0) for one in loaded]
    none = np.full(len(ids), NEW, np.int32)
    population = Population(
        versions,
        tuple(shares),
        ids,
        keys(ids, state.salt),
        none,
        np.zeros(len(ids), np.int64),
        none,
    )
    target[free] = _route(state, population, for_births(shares, counts, len(ids)))
    return target


def despawn(state: ModuleState, ids: NDArray[np.int64]) -> None:
    """End entities.

    Raises:
        UnknownEntity, DuplicateEntity: none was ended.
    """
    with Transaction(state) as transaction:
        for loaded, _, rows in find(state, ids):
            transaction.take_out(loaded, rows)


def migrate_all(
    context: Context, state: ModuleState, source: LoadedVersion, target: LoadedVersion, way: tuple[Hop, ...]
) -> MigrationReport:
    """Move every entity of `source`, and its weight, to `target`; `way` leads there.

    Raises:
        MigrationRefused, RequirementBroken, LensError, OutOfMemory: nothing moved.
    """
    began, at = time.perf_counter(), context.clock.now()
    state.split_number += 1
    moved = Moved(source.version, way, source.count)
    weights = handed_over(state.weights, [source.version], target.version)
    if abs(weights[target.version] - 1) < 1e-9:
        refuse_as_stable(context.modules, state, target.version)

    def settle() -> None:
        drop(context, state, naming(state, source.version), f"migrate_state moved its entities to {target.version}")
        record(state, [moved], MoveCause.MIGRATE, at, began)
        state.weights = dict(weights)
        if abs(weights[target.version] - 1) < 1e-9:
            entrust(context, state, target.version)
        settle_roles(context, state)

    with Transaction(state) as transaction:
        move(transaction, state, source, slice(0, source.count), target, way=way)
        transaction.then = settle
    migration = state.history[-1]
    context.emit(
        EventKind.STATE_MIGRATED,
        state.name,
        target.version,
        source=str(source.version),
        entities=moved.entities,
        path=[str(version) for version in migration.path],
        forced=migration.forced,
        ms=round(migration.ms, 3),
    )
    return MigrationReport(
        state.name, source.version, target.version, moved.entities, migration.path, migration.ms, migration.forced
    )


def handed_over(weights: Mapping[Version, float], sources: Iterable[Version], target: Version) -> dict[Version, float]:
    """Return weights in which the target has those of the sources besides its own."""
    giving = {*sources, target}
    left = {version: weight for version, weight in weights.items() if version not in giving}
    left[target] = sum(weight for version, weight in weights.items() if version in giving)
    return left


def _weights(state: ModuleState, given: Mapping[Requirement, float]) -> tuple[dict[Version, float], float]:
    """Read and normalise weights; also return the sum that was given."""
    if not isinstance(given, Mapping) or not given:
        raise InvalidWeights("give a weight for at least one version, such as {1: 0.9, 2: 0.1}", module=state.name)
    weights: dict[Version, float] = {}
    for requirement, weight in given.items():
        version = state.resolve(requirement).version
        if version in weights:
            raise InvalidWeights(f"{requirement!r} names it a second time", module=state.name, version=version)
        if isinstance(weight, bool) or not isinstance(weight, int | float | np.floating | np.integer):
            raise InvalidWeights(f"its weight is {weight!r}, not a number", module=state.name, version=version)
        if not (math.isfinite(weight) and weight >= 0):
            raise InvalidWeights(
                f"its weight is {weight}; a weight is finite and at least 0",
                module=state.name,
                version=version,
            )
        weights[version] = float(weight)
    total = math.fsum(weights.values())
    if not abs(total - 1) <= TOLERANCE:
        raise InvalidWeights(
            f"the weights add up to {total:g}; they are shares, and must add up to 1 (within {TOLERANCE})",
            module=state.name,
        )
    return {version: weight / total for version, weight in weights.items()}, total


def _route(state: ModuleState, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
    """Ask the router, and believe nothing."""
    name = type(state.router).__name__
    try:
        target = np.asarray(state.router.route(population, quota))
    except GroveError:
        raise
    except Exception as error:
        raise PluginFailed(
            f"the router raised {type(error).__name__}: {error}", module=state.name, plugin=name
        ) from error
    count = len(population.versions)
    if target.shape != (population.size,) or target.dtype.kind not in "iu":
        raise PluginFailed(
            f"the router answered {target.dtype.name} of shape {target.shape}, not one index for each of "
            f"{population.size} entities",
            module=state.name,
            plugin=name,
        )
    if len(target) and not (int(target.min()) >= 0 and int(target.max()) < count):
        raise PluginFailed(f"the router named a version beyond the {count} loaded", module=state.name, plugin=name)
    answer = target.astype(np.int32, copy=False)
    if any(weight == 0 and (answer == index).any() for index, weight in enumerate(population.weights)):
        raise PluginFailed("the router sent entities to a version of weight 0", module=state.name, plugin=name)
    return answer


def _carry_out(
    context: Context,
    state: ModuleState,
    loaded: list[LoadedVersion],
    population: LivePopulation,
    target: NDArray[np.int32],
    weights: dict[Version, float],
) -> int:
    """Move the entities whose target is not where they are, and take the weights over; return how many moved."""
    began, at = time.perf_counter(), context.clock.now()
    state.split_number += 1
    moved: list[Moved] = []

    def settle() -> None:
        record(state, moved, MoveCause.SPLIT, at, began)
        state.weights = dict(weights)
        for version, weight in weights.items():
            if weight == 1.0:
                entrust(context, state, version)
        settle_roles(context, state)

    with Transaction(state) as transaction:
        for index, source in enumerate(loaded):
            free, wanted = population.free[index], target[population.part(index)]
            movers = np.flatnonzero(wanted != index)
            for other, places in _by_target(movers, wanted):
                leaving = places if isinstance(free, slice) else free[places]
                _, hops = move(transaction, state, source, leaving, loaded[other])
                moved.append(Moved(source.version, hops, len(leaving)))
        transaction.then = settle
    return sum(each.entities for each in moved)


def _by_target(movers: NDArray[np.int64], wanted: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each version that gets some of `movers`, and which."""
    if not len(movers):
        return
    goes = wanted[movers]
    lowest, highest = int(goes.min()), int(goes.max())
    if lowest == highest:
        yield lowest, movers
        return
    for other in range(lowest, highest + 1):
        places = movers[goes == other]
        if len(places):
            yield other, places
