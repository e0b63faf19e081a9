"""All that an engine knows of a module, a version or an entity, as JSON has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from grove_core.author.schema import ID
from grove_core.base.rollouts import RolloutStatus
from grove_core.memory.generations import UNKNOWN, Snapshot
from grove_core.parts.contracts import NEW
from grove_core.runtime.orders import queries
from grove_core.runtime.rows import keeping, ruling
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.store import ARRIVAL, ORIGIN, PINNED
from grove_core.sinks.recorded import plain


def module_dump(
    context: Context, state: ModuleState, rollouts: list[RolloutStatus], rows: int, history: int
) -> dict[str, Any]:
    """Return a module, and up to `rows` entities of each version."""
    return as_json(
        {
            "module": state.name,
            "condition": state.condition,
            "stable": state.stable,
            "previous": state.previous,
            "weights": dict(sorted(state.weights.items())),
            "entities": state.population,
            "router": context.settings.router.use,
            "quarantined": sorted(state.quarantined),
            "trusted_until": state.trusted_until,
            "breakers": dict(sorted(state.breakers.items())),
            "pin_rules": [ruling.told(state, rule) for rule in state.pin_rules],
            "judgements": state.judgements,
            "rollouts": rollouts,
            "generations": keeping.generations(state),
            "history": list(state.history)[-history:],
            "unloaded": {
                version: {"config": state.configs.get(version, {}), "document": _document(state.documents.get(version))}
                for version in sorted(state.descriptions.keys() - state.versions.keys())
            },
            "versions": {loaded.version: _version(context, state, loaded, rows) for loaded in state.ordered},
        }
    )


def version_dump(context: Context, state: ModuleState, loaded: LoadedVersion, rows: int) -> dict[str, Any]:
    """Return a version, and up to `rows` of its entities, those with the lowest ids."""
    return as_json(_version(context, state, loaded, rows))


def entity_dump(state: ModuleState, loaded: LoadedVersion, row: int, number: int, explanation: str) -> dict[str, Any]:
    """Return an entity, the one in this row.

    Args:
        state: its module.
        loaded: its version.
        row: where it is in the version's table.
        number: of the latest tick.
        explanation: why it is where it is.
    """
    table = loaded.table
    code = int(table[ORIGIN][row])
    return as_json(
        {
            "module": state.name,
            "id": table[ID][row],
            "version": loaded.version,
            "role": state.role(loaded.version),
            "columns": {name: table[name][row] for name in loaded.schema.names},
            "before_last_tick": _before(loaded, loaded.generations.of(number), number, int(table[ID][row])),
            "carried": [
                {
                    "of": each.owner,
                    "column": each.name,
                    "dtype": each.dtype,
                    "value": table[names.value][row],
                    "became": None if each.image is None else {"in": each.image.version, "columns": each.image.columns},
                }
                for each, names in loaded.store.carried.items()
                if table[names.valid][row]
            ],
            "change": table[ARRIVAL][row],
            "origin": None if code == NEW else state.codes[code],
            "pinned": bool(table[PINNED][row]),
            "explanation": explanation.splitlines(),
        }
    )


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value of which `json.dumps` makes strict JSON; NaN and infinity, which it has not, are texts."""
    made: dict[str, Any] = _finite(plain(value))
    return made


def _version(context: Context, state: ModuleState, loaded: LoadedVersion, rows: int) -> dict[str, Any]:
    record, introduced = loaded.description.record, loaded.description.introduced
    return {
        "version": loaded.version,
        "role": state.role(loaded.version),
        "weight": state.weights.get(loaded.version, 0.0),
        "entities": loaded.count,
        "distribution": record.distribution,
        "entry_point": record.entry_point,
        "location": record.location,
        "pid": None if loaded.worker is None else loaded.worker.pid,
        "config": loaded.config,
        "limits": msgspec.to_builtins(loaded.limits),
        "requirements": introduced.requirements,
        "catch_up": introduced.catch_up,
        "document": _document(loaded.document),
        "loaded_at": loaded.loaded_at,
        "idle_since": loaded.idle_since,
        "held": loaded.held,
        "restarts": loaded.restarts,
        "orders": loaded.orders,
        "breaker": state.breaker(loaded.version),
        "quarantined": loaded.version in state.quarantined,
        "health": loaded.meter.health,
        "metrics": queries.metrics(context, state, loaded),
        "schema": [
            {"constant": spec.constant, "name": spec.name, **msgspec.to_builtins(spec.column)}
            for spec in loaded.schema.specs
        ],
        "carried": [
            {"of": each.owner, "column": each.name, "dtype": each.dtype, "entities": _count(loaded, names.valid)}
            for each, names in loaded.store.carried.items()
        ],
        "generations": [
            {"tick": each.tick, "entities": each.count} for each in loaded.generations.snapshots if each.tick != UNKNOWN
        ],
        "rows": _rows(loaded, rows),
    }


def _rows(loaded: LoadedVersion, rows: int) -> dict[str, list[Any]]:
    """Return the columns of the entities with the lowest ids."""
    table = loaded.table
    chosen = np.argsort(table[ID], kind="stable")[:rows]
    return {name: table[name][chosen].tolist() for name in (ID, *loaded.schema.names)}


def _before(loaded: LoadedVersion, snapshot: Snapshot, number: int, entity: int) -> dict[str, Any] | None:
    """Return what an entity's worker could change as it was before the latest tick; None if it was not there yet."""
    if snapshot.tick != number:
        return None
    found = np.flatnonzero(snapshot[ID] == entity)
    return {name: snapshot[name][found[0]] for name in snapshot.slots if name != ID} if len(found) else None


def _count(loaded: LoadedVersion, valid: str) -> int:
    return int(np.count_nonzero(loaded.table[valid]))


def _document(document: bytes | None) -> Any:
    return None if document is None else msgspec.msgpack.decode(document)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return value
