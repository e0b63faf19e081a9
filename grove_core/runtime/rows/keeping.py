"""Taking and listing the generations that the settings keep."""

from __future__ import annotations

from collections.abc import Iterable

from grove_core.base.errors import OutOfMemory
from grove_core.base.events import EventKind
from grove_core.base.kept import GenerationRecord
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.past import Live
from grove_core.runtime.state.state import ModuleState


def keep(context: Context, states: Iterable[ModuleState], number: int) -> None:
    """Keep every module as it is before a tick, if a generation of it is due.

    One for which there is no memory is missing, and told once: no tick is lost for it.
    """
    settings, now = context.settings, context.clock.now()
    for state in states:
        past = state.past
        if not past.due(now, settings.generation_interval_seconds):
            continue
        versions = [Live(one.version, one.schema, one.store, one.document) for one in state.ordered]
        try:
            past.take(f"grove:{state.name}:past", number, now, versions, settings.keep_generations)
            past.trouble = None
        except OutOfMemory as error:
            if past.trouble is None:
                context.emit(EventKind.GENERATION_MISSED, state.name, tick=number, error=error.message)
            past.trouble = error.message


def generations(state: ModuleState) -> list[GenerationRecord]:
    """Return the generations of a module that are kept, oldest first."""
    return [
        GenerationRecord(state.name, each.number, each.at, each.counts, each.bytes, each.left) for each in state.past
    ]
