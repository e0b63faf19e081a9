"""What a fault did to the rows of its version, for somebody who wants to see it."""

from __future__ import annotations

from grove_core.author.schema import ID, Columns
from grove_core.base.ticks import FaultRows
from grove_core.runtime.orders.asks import Ask


def look(order: Ask, number: int) -> FaultRows | None:
    """Copy the rows of an order as the tick found them and as the worker left them.

    To be called once the worker is gone and before anything is restored. None where the order had no rows, or where
    there is no memory for the copies: no recovery is lost for them.
    """
    table, start, stop = order.loaded.table, order.start, order.stop
    snapshot = order.loaded.generations.of(number)
    if snapshot.tick != number or start == stop:
        return None
    names = (ID, *order.loaded.schema.names)
    try:
        after: Columns = {name: table.rows(name, start, stop).copy() for name in names}
        before = {
            name: snapshot[name][start:stop].copy() if name in snapshot.slots else after[name].copy() for name in names
        }
    except MemoryError:
        return None
    return FaultRows(before, after)
