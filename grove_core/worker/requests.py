"""What a version asked for in a tick, as it crosses the wire."""

from __future__ import annotations

from grove_core.author.entities import Entities
from grove_core.wire.messages import Failed, Spawned, Tick, Ticked
from grove_core.worker.observing import observed


def ticked(order: Tick, ms: float, entities: Entities, document: bytes | None) -> Ticked:
    """Return the answer to an order.

    Args:
        order: which.
        ms: how long the version took.
        entities: what it worked on, with what it asked for.
        document: the version's, as msgpack, if it changed.
    """
    if not (entities._births or entities._deaths or entities._failures or entities._observed):
        return Ticked(order.number, ms, document=document, order=order.order)
    return Ticked(
        order.number,
        ms,
        tuple(
            Spawned(
                birth.count,
                {name: values.tobytes() for name, values in birth.columns.items()},
                None if birth.ids is None else birth.ids.tobytes(),
            )
            for birth in entities._births
        ),
        tuple(ids.tobytes() for ids in entities._deaths),
        tuple(Failed(ids.tobytes(), reason) for ids, reason in entities._failures),
        document,
        order.order,
        observed(entities),
    )
