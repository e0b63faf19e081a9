"""Pins by rule: of which entities a rule is true, and the end of a rule.

A rule speaks of the columns of the version that it pins to. Entities of another version are read as that version would
have them, through the lenses: so what is true of an entity stays true when it moves there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.schema import ID, Array, Columns
from grove_core.base.errors import GroveError, InvalidRule
from grove_core.base.events import EventKind
from grove_core.base.records import PinRule
from grove_core.migration.plan import Hop, Passed, refuse_irreversible
from grove_core.migration.rows import Batch, project
from grove_core.runtime.rows.adoption import view
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import LiveRule, LoadedVersion, ModuleState
from grove_core.runtime.state.store import FREE, PINNED

Marks = NDArray[np.uint8]
"""What stands in `PINNED`."""


def holds(state: ModuleState, rule: LiveRule, loaded: LoadedVersion) -> NDArray[np.bool_]:
    """Tell of which rows of a version a rule is true.

    Raises:
        GroveError: they cannot be had, or read, as the rule's version would have them.
    """
    table = loaded.table
    return _holds(
        state, rule, loaded.version, table.__getitem__, table.count, lambda: view(loaded.store, loaded.schema)
    )


def marks_of_newborn(
    state: ModuleState, source: LoadedVersion, columns: Columns, ids: NDArray[np.int64]
) -> Marks | None:
    """Return the marks of newborn whose columns are of `source`'s schema; None where no rule is true of one.

    A rule that cannot be held against them is passed over: the next tick drops it, and tells.
    """
    marks, own = np.full(len(ids), FREE, np.uint8), {ID: ids, **columns}
    for rule in reversed(state.pin_rules):
        try:
            true = _holds(state, rule, source.version, own.__getitem__, len(ids), lambda: Batch(len(ids), columns))
        except GroveError:
            continue
        marks[true] = rule.mark
    return marks if marks.any() else None


def _holds(
    state: ModuleState,
    rule: LiveRule,
    version: Version,
    own: Callable[[str], Array],
    rows: int,
    batch: Callable[[], Batch],
) -> NDArray[np.bool_]:
    """Tell of which rows a rule is true; columns that pass are read where they lie, else lenses make them."""
    hops = state.graph.path(version, rule.version)
    refuse_irreversible(hops)
    places = {name: _place(name, hops) for name in rule.rule.names}
    columns = {name: own(place) for name, place in places.items() if place is not None}
    if len(columns) < len(places):
        columns = {**project(batch(), hops), ID: own(ID)}
    return rule.rule.holds(columns, rows)


def _place(name: str, hops: Sequence[Hop]) -> str | None:
    """Return the column of the way's source that is this column of its target, bit for bit; None where none is."""
    for hop in () if name == ID else reversed(hops):
        origin = hop.columns[name]
        if not isinstance(origin, Passed):
            return None
        name = origin.source
    return name


def refuse_unread(state: ModuleState, rule: LiveRule) -> None:
    """Refuse a rule that would have to run functions to be held against the entities of a loaded version.

    Raises:
        NoLensPath, MigrationRefused: no way leads from a loaded version to the rule's.
        InvalidRule: it names the version and the columns.
    """
    for version in state.versions:
        hops = state.graph.path(version, rule.version)
        refuse_irreversible(hops)
        made = [name for name in rule.rule.names if _place(name, hops) is None]
        if made and any(hop.joints for hop in hops):
            passing = [name for name in state.versions[rule.version].schema.names if _place(name, hops) is not None]
            raise InvalidRule(
                f"entities of {version} cannot be read as {rule.version} would have them without running a function "
                f"of a Map or a migrator, for {', '.join(made)}; no tick does that for a rule. "
                f"A rule can read {', '.join([ID, *passing])}",
                module=state.name,
                version=version,
            )


def naming(state: ModuleState, version: Version) -> tuple[LiveRule, ...]:
    """Return the rules that pin to a version."""
    return tuple(rule for rule in state.pin_rules if rule.version == version)


def drop(context: Context, state: ModuleState, gone: Iterable[LiveRule], reason: str) -> None:
    """End rules; whom they pinned is free, and stays where it is until the next split. Twice is once."""
    for rule in gone:
        if rule not in state.pin_rules:
            continue
        entities = 0
        for loaded in state.versions.values():
            pinned = loaded.table[PINNED]
            rows = np.flatnonzero(pinned == rule.mark)
            pinned[rows] = FREE
            entities += len(rows)
        context.emit(
            EventKind.PIN_RULE_DROPPED,
            state.name,
            rule.version,
            number=rule.number,
            rule=rule.rule.text,
            entities=entities,
            reason=reason,
        )
        state.pin_rules = tuple(one for one in state.pin_rules if one is not rule)


def told(state: ModuleState, rule: LiveRule) -> PinRule:
    """Return a rule as it is shown."""
    pinned = state.versions[rule.version].table[PINNED]
    count = int(np.count_nonzero(pinned == rule.mark))
    return PinRule(state.name, rule.number, rule.rule.text, rule.version, count)
