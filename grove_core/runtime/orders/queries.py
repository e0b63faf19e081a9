"""What can be asked of a module without changing it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import ID, Columns
from grove_core.base.metrics import Average, VersionMetrics
from grove_core.migration.rows import project
from grove_core.runtime.orders.unloading import memory_of
from grove_core.runtime.rows.moves import extract
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.index import find
from grove_core.runtime.state.state import LoadedVersion, ModuleState


def entities(state: ModuleState, shown_as: LoadedVersion) -> Columns:
    """Copy every entity's id and columns, in one version's schema, whatever version it is in.

    Raises:
        NoLensPath: no lens leads to that schema.
    """
    ids: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    parts: list[Columns] = [{name: np.empty(0, dtype) for name, dtype in shown_as.schema.dtypes.items()}]
    for loaded in state.ordered:
        if loaded.count:
            hops = state.graph.path(loaded.version, shown_as.version)
            ids.append(loaded.table[ID].copy())
            parts.append(project(extract(loaded, slice(0, loaded.count)), hops, state.open_runner))
    return {
        ID: np.concatenate(ids),
        **{name: np.concatenate([part[name] for part in parts]) for name in shown_as.schema.names},
    }


def locate(state: ModuleState, ids: NDArray[np.int64]) -> list[Version]:
    """Return the version of each id.

    Raises:
        UnknownEntity, DuplicateEntity: an id is not alive, or stands twice.
    """
    versions = np.empty(len(ids), object)
    for loaded, positions, _ in find(state, ids):
        versions[positions] = loaded.version
    return versions.tolist()


def metrics(context: Context, state: ModuleState, loaded: LoadedVersion) -> VersionMetrics:
    """Measure one version."""
    population, meter, had = state.population, loaded.meter, memory_of(loaded)
    return VersionMetrics(
        loaded.version,
        loaded.count,
        100 * loaded.count / population if population else 0.0,
        100 * state.weights.get(loaded.version, 0.0),
        meter.ticks,
        meter.processed,
        meter.average_ms,
        meter.quantile_ms(0.50),
        meter.quantile_ms(0.99),
        None if had.pss is None else had.total,
        context.clock.now() - loaded.loaded_at,
        meter.errors,
        state.name,
        {
            name: Average(one.count, one.total / one.count, one.squares)
            for name, one in meter.observed.items()
            if one.count
        },
        meter.calls,
        meter.failed_calls,
        meter.lost,
        meter.durations.buckets(),
        meter.services,
        meter.services_ms / meter.services if meter.services else None,
    )
