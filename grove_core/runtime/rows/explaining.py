"""Why an entity is where it is: its row says which change brought it there, the history what that change was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.base.errors import InvalidInput
from grove_core.base.records import Explanation, MigrationRecord, MoveCause, PinRule, Role
from grove_core.parts.contracts import NEW
from grove_core.runtime.rows import ruling
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.index import find
from grove_core.runtime.state.state import ModuleState
from grove_core.runtime.state.store import ARRIVAL, ORIGIN, PINNED, Store

ROLES = {
    Role.STABLE: "the stable version",
    Role.PREVIOUS: "the previous version",
    Role.CANARY: "a canary",
    Role.IDLE: "an idle version",
}
CAUSES = {
    MoveCause.SPLIT: "A split moved it there from {}",
    MoveCause.MIGRATE: "migrate_state moved it there from {}",
    MoveCause.PIN: "A pin moved it there from {}",
    MoveCause.FAULT: "A fault of {} sent it there",
    MoveCause.ROLLBACK: "A rollback by hand moved it there from {}",
    MoveCause.ROLLOUT: "A rollout that was ended sent it back from {}",
}


def explain(context: Context, state: ModuleState, ids: NDArray[np.int64]) -> Explanation:
    """Tell why the entity with the one id in `ids` is where it is.

    Raises:
        UnknownEntity: it is not alive.
        InvalidInput: these are more ids than one, or none.
    """
    if len(ids) != 1:
        raise InvalidInput(f"explain takes one id, not {len(ids)}; call it for each", module=state.name)
    ((loaded, _, rows),) = find(state, ids)
    table, row = loaded.table, int(rows[0])
    number, code = int(table[ARRIVAL][row]), int(table[ORIGIN][row])
    origin = None if code == NEW else state.codes[code]
    told = Explanation(
        state.name,
        int(ids[0]),
        loaded.version,
        state.role(loaded.version),
        bool(table[PINNED][row]),
        number,
        origin,
        _recorded(state, number, origin, loaded.version),
        state.weights.get(loaded.version, 0.0),
        loaded.count,
        state.population,
        context.settings.router.use,
        _carried(loaded.store, row),
        context.clock.now(),
        "",
        _rule(state, int(table[PINNED][row])),
    )
    return replace(told, text="\n".join(_sentences(told, gone=origin not in state.versions)))


def _recorded(state: ModuleState, number: int, origin: Version | None, version: Version) -> MigrationRecord | None:
    """Find the part of a change that led from one version to the other; None where the history does not hold it.

    It may be too long ago, or the call was interrupted after its rows had moved.
    """
    for each in reversed(state.history):
        if each.number == number and each.from_version == origin and each.to_version == version:
            return each
        if each.number < number:
            break
    return None


def _rule(state: ModuleState, mark: int) -> PinRule | None:
    """Find the rule that a mark stands for."""
    return next((ruling.told(state, rule) for rule in state.pin_rules if rule.mark == mark), None)


def _carried(store: Store, row: int) -> dict[Version, tuple[str, ...]]:
    """Return what one row carries: the names of columns by the version that has them, the lowest first."""
    valid = {(each.owner, each.name) for each, names in store.carried.items() if store.table[names.valid][row]}
    owners = sorted({owner for owner, _ in valid})
    return {owner: tuple(sorted(name for whose, name in valid if whose == owner)) for owner in owners}


def _sentences(told: Explanation, *, gone: bool) -> Iterator[str]:
    """Say it to a person; `gone` tells that the version it came from is not loaded."""
    yield (
        f"{told.module} {told.id} is in {told.version}, {ROLES[told.role]}, which has the weight {told.weight:g} "
        f"and {told.entities:,} of {told.population:,} entities ({100 * told.share:.3g} %)."
    )
    yield _arrival(told, f"{told.origin}, which is not loaded now," if gone else f"{told.origin}")
    if told.move is not None and told.move.forced:
        yield "It was forced, as no function leads that way: what it carried was taken, else defaults."
    yield _freedom(told)
    if told.carried:
        columns = "; ".join(f"{', '.join(names)} of {owner}" for owner, names in told.carried.items())
        yield f"It carries what {told.version} does not know: {columns}."


def _arrival(told: Explanation, origin: str) -> str:
    if told.origin is None:
        return "It was born there."
    move = told.move
    if move is None:
        return (
            f"It came there from {origin} with change {told.number}, which is not in the history: "
            f"when and why cannot be told."
        )
    between = ", ".join(map(str, move.path[1:-1]))
    way = f"{CAUSES[move.cause].format(origin)}{f' by way of {between}' if between else ''}".rstrip(",")
    company = "alone" if move.entities == 1 else f"as one of {move.entities:,} entities"
    return f"{way}, {company}, {told.at - move.at:,.1f} s ago (at {move.at:,.1f} s by the clock, change {move.number})."


def _freedom(told: Explanation) -> str:
    if told.rule is not None:
        return (
            f"The rule {told.rule.number} pins it there: no split moves it as long as {told.rule.rule!r} is true of it."
        )
    if told.pinned:
        return "It is pinned there: no split moves it until it is unpinned."
    # Only `unpin`, or a rule that is true no more, frees a row without moving it.
    lifted = told.move is not None and told.move.cause is MoveCause.PIN
    state = "Its pin was lifted since" if lifted else "It is not pinned"
    return f"{state}: the next split may move it, as the router {told.router} decides."
