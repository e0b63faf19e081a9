"""The validators that the settings list: what each is shown of a commit, and what is believed of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from grove_core.author.schema import ID, Array, Columns
from grove_core.base.events import EventKind
from grove_core.parts.contracts import Commit, Validator
from grove_core.parts.plugins import Chosen

if TYPE_CHECKING:
    from grove_core.runtime.orders.asks import Ask
    from grove_core.runtime.state.context import Context

LONGEST = 500
"""How many characters of a validator's sentence are told."""


def refusal(context: Context, order: Ask, number: int, dt: float, failed: NDArray[np.int64]) -> str | None:
    """Ask every validator whether what was written may be committed; return what the first one says against it.

    One that raises, or answers neither a sentence nor None, must not lose the tick: it is switched off.

    Args:
        context: has the validators.
        order: the rows that were processed.
        number: the tick.
        dt: its seconds.
        failed: rows that the version said failed.
    """
    commit = _shown(order, number, dt, failed)
    if not commit.size:
        return None
    for chosen in list(context.validators):
        answer: object
        try:
            answer = chosen.part.refuse(commit)
        except Exception as error:
            _switch_off(context, chosen, commit, f"raised {type(error).__name__}: {error}")
            continue
        if isinstance(answer, str) and answer.strip():
            return f"the validator {chosen.name!r} refuses it: {answer.strip()[:LONGEST]}"
        if answer is not None:
            _switch_off(context, chosen, commit, f"gave {answer!r}, which is neither a sentence nor None")
    return None


def _switch_off(context: Context, chosen: Chosen[Validator], commit: Commit, what: str) -> None:
    context.validators.remove(chosen)
    context.emit(
        EventKind.PLUGIN_FAILED,
        commit.module,
        commit.version,
        plugin=chosen.plugin,
        error=f"the validator {chosen.name!r} {what}; it is off for this engine",
    )


def _shown(order: Ask, number: int, dt: float, failed: NDArray[np.int64]) -> Commit:
    """Show the rows of an order: views, unless some of them have to be left out."""
    loaded, start, stop = order.loaded, order.start, order.stop
    kept: NDArray[np.bool_] | None = None
    if len(failed):
        kept = np.ones(stop - start, np.bool_)
        kept[failed - start] = False

    def read_only(values: Array) -> Array:
        shown = values.view() if kept is None else values[kept]
        shown.flags.writeable = False
        return shown

    snapshot, table = loaded.generations.of(number), loaded.table
    after: Columns = {name: read_only(table.rows(name, start, stop)) for name in loaded.schema.names}
    before: Columns = {
        spec.name: after[spec.name] if spec.constant else read_only(snapshot[spec.name][start:stop])
        for spec in loaded.schema.specs
    }
    return Commit(order.state.name, loaded.version, number, dt, read_only(table.rows(ID, start, stop)), before, after)
