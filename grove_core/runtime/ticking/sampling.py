"""How every module does, once in a while: what sinks are given besides events."""

from __future__ import annotations

import time
from collections.abc import Iterable

from grove_core.base.samples import Sample
from grove_core.runtime.orders.queries import metrics
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import ModuleState


def sample(context: Context, states: Iterable[ModuleState]) -> None:
    """Give sinks a sample of every module, if one is due by the clock; what nobody takes is not made."""
    if not context.sinks.sampling:
        return
    now = context.clock.now()
    if not context.sinks.due(now):
        return
    wall = time.time()
    for state in states:
        versions = tuple(metrics(context, state, loaded) for loaded in state.ordered)
        context.sinks.sample(Sample(state.name, now, wall, versions, state.judgements))
    context.tell_of_sinks()
