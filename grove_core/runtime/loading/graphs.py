"""Lenses of versions that are installed but not loaded: read when a way leads through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from grove_core.base.errors import GroveError
from grove_core.base.events import EventKind
from grove_core.base.records import VersionRecord
from grove_core.runtime.loading.loading import describe
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.state import ModuleState


def complete_graph(context: Context, state: ModuleState, installed: Callable[[], Iterable[VersionRecord]]) -> None:
    """If loaded versions are not joined by lenses, read those of the installed versions that are not known yet.

    Where they still are not joined, the call that needs the way says so.
    """
    if _joined(state):
        return
    for record in installed():
        version = record.version
        if record.module != state.name or version is None or record.error or version in state.described:
            continue
        state.described.add(version)
        if version in state.descriptions:
            continue
        try:
            describe(context, state, record)
        except GroveError as error:
            context.emit(EventKind.LOAD_FAILED, state.name, version, error=f"its lenses cannot be read: {error}")


def _joined(state: ModuleState) -> bool:
    return all(state.graph.joined(source, target) for source, target in pairwise(sorted(state.versions)))
