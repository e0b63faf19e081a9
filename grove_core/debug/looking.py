"""Reading an engine's modules for a status. Nothing is changed: what is still to be done stays to be done."""

from __future__ import annotations

from grove_core.base.records import TickReport
from grove_core.debug.status import Doing, ModuleDetail, VersionDetail
from grove_core.memory.generations import UNKNOWN
from grove_core.memory.table import length
from grove_core.runtime.orders.unloading import memory_of
from grove_core.runtime.state.state import Condition, Intent, LoadedVersion, ModuleState


def module_detail(state: ModuleState, last: TickReport | None) -> ModuleDetail:
    """Return a module as it is now."""
    return ModuleDetail(
        state.name,
        state.condition,
        state.stable,
        state.previous,
        state.population,
        None if state.intent is None else _intent(state.intent),
        len(list(state.past)),
        len(state.pin_rules),
        tuple(_version(state, loaded, last) for loaded in state.ordered),
    )


def _version(state: ModuleState, loaded: LoadedVersion, last: TickReport | None) -> VersionDetail:
    meter, times = loaded.meter, () if last is None else last.versions
    taken = sorted(each.tick for each in loaded.generations.snapshots if each.tick != UNKNOWN)
    return VersionDetail(
        loaded.version,
        state.role(loaded.version),
        _doing(state, loaded),
        None if loaded.worker is None else loaded.worker.pid,
        state.weights.get(loaded.version, 0.0),
        loaded.count,
        meter.ticks,
        meter.errors,
        meter.quantile_ms(0.50),
        meter.quantile_ms(0.99),
        tuple(one for one in times if (one.module, one.version) == (state.name, loaded.version)),
        memory_of(loaded),
        tuple(taken),
        loaded.restarts,
        state.breaker(loaded.version),
        loaded.version in state.quarantined,
        len(loaded.former),
    )


def _doing(state: ModuleState, loaded: LoadedVersion) -> Doing:
    if loaded.worker is None:
        return Doing.GONE
    if not loaded.count:
        return Doing.IDLE
    return Doing.WORKING if state.condition is Condition.RUNNING else Doing.PAUSED


def _intent(intent: Intent) -> str:
    """Say what was decided of rows."""
    removed = {version: sum(map(length, rows)) for version, rows in intent.removed.items()}
    parts = [
        *(f"{version} has {total:,} rows" for version, total in intent.totals.items()),
        *(f"{version} loses {rows:,}" for version, rows in removed.items() if rows),
        *(f"{one.target} adopts the {one.rows:,} rows of {one.source}" for one in intent.adoptions),
        *(f"{one.version} goes on with other memory" for one in intent.replacements),
    ]
    return "; ".join(parts) or "a change that moves no rows"
