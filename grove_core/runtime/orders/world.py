"""Showing a version the whole module: what the last tick committed, of every version, through the lenses.

Nothing is copied for it but what a lens converts or adds: workers map the generations of each other's tables, and
their constant columns, for reading only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grove_core.author.schema import ID, Columns
from grove_core.base.errors import GroveError, PeerDied, ProtocolError
from grove_core.base.showing import brief
from grove_core.memory.arena import Arena, Slot
from grove_core.memory.generations import Snapshot
from grove_core.migration.plan import Hop, passing
from grove_core.migration.rows import Batch, project
from grove_core.parts.running import Worker
from grove_core.runtime.rows.adoption import view
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.wire.channel import DESCRIPTORS, close_all
from grove_core.wire.messages import AskWorld, Hide, Part, Seen, Show


def show(state: ModuleState, asker: LoadedVersion, tick: int, asked: AskWorld) -> None:
    """Answer a version that looks at the world while it processes a tick.

    Raises:
        PeerDied, ProtocolError: see `Worker.send`; or it asked for columns that it does not have, or for one twice.
    """
    worker = asker.worker
    if worker is None:
        raise PeerDied("it has no worker")
    if len(set(asked.names)) < len(asked.names) or not {ID, *asker.schema.names}.issuperset(asked.names):
        raise ProtocolError(f"it asked to see {brief(asked.names)}, and has {', '.join((ID, *asker.schema.names))}")
    scene = _Scene(asked)
    try:
        scene.tell(worker, _answer(scene, state, asker, tick))
    except Exception:  # to answer once more would only raise it once more
        raise
    except BaseException:  # an interrupt; the version waits for its answer, and is not to blame
        if not scene.told:
            show(state, asker, tick, asked)
        raise
    finally:
        scene.close()


def _answer(scene: _Scene, state: ModuleState, asker: LoadedVersion, tick: int) -> Show | Hide:
    try:
        return scene.of(state, asker, tick)
    except GroveError as error:
        return Hide(str(error))


class _Scene:
    """One answer, and the descriptors that come with it."""

    def __init__(self, asked: AskWorld) -> None:
        self._asked = asked
        self._mapped = set(asked.mapped)
        self._opened: dict[int, int] = {}
        self.told = False
        self._made: Arena | None = None
        """Holds every column that is made for this answer."""

    def tell(self, worker: Worker, answer: Show | Hide) -> None:
        """Send the answer.

        Raises:
            PeerDied, ProtocolError: see `Worker.send`.
        """
        worker.send(answer, list(self._opened.values()))
        self.told = True

    def of(self, state: ModuleState, asker: LoadedVersion, tick: int) -> Show:
        """Show all versions that have rows.

        Raises:
            NoLensPath, LensError, MigrationRefused, OutOfMemory: some rows cannot be shown as the asking version's.
        """
        there = [loaded for loaded in state.ordered if loaded.count]
        parts = tuple(self._part(state, loaded, asker, tick) for loaded in there)
        own = next(place for place, loaded in enumerate(there) if loaded is asker)
        return Show(parts, own, tuple(self._opened))

    def close(self) -> None:
        """Let go of what was sent; the worker has it now."""
        close_all(list(self._opened.values()))
        self._opened.clear()
        if self._made is not None:
            self._made.abandon()  # its pages are the worker's to give back

    def _part(self, state: ModuleState, loaded: LoadedVersion, asker: LoadedVersion, tick: int) -> Part:
        snapshot = _committed(loaded, tick)
        hops = state.graph.path(loaded.version, asker.version)
        came_from = {ID: ID, **passing(loaded.schema.names, hops)}
        missing = [name for name in self._asked.names if name not in came_from]
        made = self._converted(state, loaded, snapshot, hops, missing) if missing else {}
        columns = (
            made[name] if name in made else self._lying(loaded, snapshot, came_from[name]) for name in self._asked.names
        )
        return Part(snapshot.count, tuple(columns))

    def _lying(self, loaded: LoadedVersion, snapshot: Snapshot, name: str) -> Seen:
        """Show a column where it lies: constant ones in the table, where nobody writes them in a tick."""
        slot = snapshot.slots[name] if name in snapshot.slots else loaded.table.slots[name]
        return self._seen(loaded.store.arena, slot)

    def _converted(
        self, state: ModuleState, loaded: LoadedVersion, snapshot: Snapshot, hops: Sequence[Hop], names: Sequence[str]
    ) -> dict[str, Seen]:
        """Show columns that are not those of any other as they are: converted for this tick, in memory of their own."""
        table, rows = loaded.table, snapshot.count
        columns: Columns = {
            name: snapshot[name] if name in snapshot.slots else table[name][:rows] for name in loaded.schema.names
        }
        shown = project(Batch(rows, columns, view(loaded.store, loaded.schema).carried), hops)
        arena = self._made
        if arena is None:
            most = max(each.count for each in state.ordered)
            arena = self._made = Arena(f"grove:{state.name}:world", most, loaded.store.arena.kind)
            arena.reserve(most)
            self._opened[arena.inode] = arena.read_only_descriptor()
        slots = arena.allocate([shown[name].dtype for name in names])
        for name, slot in zip(names, slots, strict=True):
            np.copyto(arena.array(slot)[:rows], shown[name])
        return {name: self._seen(arena, slot) for name, slot in zip(names, slots, strict=True)}

    def _seen(self, arena: Arena, slot: Slot) -> Seen:
        number = arena.inode
        unknown = (number, slot.offset) not in self._mapped
        # One is kept free for what is made: it is another one each time, so it must come along with each answer.
        if unknown and number not in self._opened and len(self._opened) < DESCRIPTORS - (self._made is None):
            self._opened[number] = arena.read_only_descriptor()
        return Seen(number, slot.dtype.str, slot.offset, slot.length)


def _committed(loaded: LoadedVersion, tick: int) -> Snapshot:
    """Return a version's generation of this tick; rows that joined it since, and were not ticked, are taken in."""
    snapshot, table = loaded.generations.of(tick), loaded.table
    known = snapshot.count if snapshot.tick == tick else 0
    if known < table.count:
        snapshot.extend(table, known, table.count, tick)
    return snapshot
