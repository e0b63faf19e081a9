"""What authors wrote for a migration, run in fresh workers: their functions never reach this process."""

from __future__ import annotations

import os
import time
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
from packaging.version import Version

from grove_core.author.schema import Columns
from grove_core.base.errors import (
    DeadlineExceeded,
    GroveError,
    LensError,
    PackageError,
    PeerDied,
    PluginFailed,
    ProtocolError,
)
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.memory import arena
from grove_core.migration.graph import Accepting
from grove_core.migration.plan import Endpoint, Function, Hop, Joint, LensFunction, MigratorFunction
from grove_core.parts.running import Worker
from grove_core.runtime.loading.introducing import introduce
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.deadline import Deadline
from grove_core.runtime.state.state import ModuleState
from grove_core.wire.messages import PROTOCOL, Given, Raised, RunMap, RunMigrator, Scratch, Side, Slot

Host = Version | int
"""What a worker was started for: a version, or the migrator at this place of the settings."""


class Mapper:
    """Runs the functions on the way of rows, see `Runner`. A worker is started at the first need.

    Functions of one version share a worker until the mapper is left; then all of them end.

    Args:
        context: the engine's parts.
        state: whose rows they are.
    """

    def __init__(self, context: Context, state: ModuleState) -> None:
        self._context = context
        self._state = state
        self._workers: dict[Host, Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with put_off():
            for host in list(self._workers):
                self._end(host)

    def __call__(self, hop: Hop, joint: Joint, takes: Columns, rows: int) -> Columns:
        """Run a function over scratch columns, and check what it gave.

        Raises:
            LensError: a function of a Map raised, hung, died, or gave what does not fit.
            PluginFailed: a migrator did.
            WorkerError: no worker can be started.
            OutOfMemory: there is no room for the columns.
        """
        began = time.perf_counter()
        gives = {name: hop.target.schema[column].dtype for name, column in joint.gives.items()}
        memory = arena.Arena(f"grove:{self._state.name}:map", rows, self._context.settings.memory)
        try:
            slots = memory.allocate([*(values.dtype for values in takes.values()), *gives.values()])
            memory.reserve(rows)
            taken, given = dict(zip(takes, slots, strict=False)), dict(zip(gives, slots[len(takes) :], strict=True))
            for name, slot in taken.items():
                np.copyto(memory.array(slot)[:rows], takes[name])
            scratch = Scratch(rows, _slots(taken, writable=False), _slots(given, writable=True))
            names = self._ask(hop, joint, scratch, memory)
            # Judged is a copy: the worker may still write.
            made = {name: memory.array(given[name])[:rows].copy() for name in names}
        finally:
            memory.close()
        for name, values in made.items():
            if broken := hop.target.schema[joint.gives[name]].column.broken_rule(values):
                raise self._failure(hop, joint, f"column {joint.gives[name]!r} {broken}")
        self._tell(hop, joint, rows, (time.perf_counter() - began) * 1000)
        return made

    def _ask(self, hop: Hop, joint: Joint, scratch: Scratch, memory: arena.Arena) -> tuple[str, ...]:
        """Have a worker run the function; return the names of what it gave."""
        deadline = Deadline(self._context.waiting, self._context.settings.load_deadline_seconds)
        host = _host(joint.there)
        fresh = host not in self._workers
        if fresh:
            with put_off():
                self._workers[host] = self._context.isolation.start()
        worker = self._workers[host]
        try:
            if fresh and isinstance(host, Version):
                self._introduce(worker, host, deadline)
            read_only = memory.read_only_descriptor()
            try:
                worker.send(self._order(hop, joint.there, scratch), [memory.descriptor, read_only])
            finally:
                os.close(read_only)
            return _given(joint, worker.receive(deadline.left))
        except DeadlineExceeded:
            reason = f"it did not answer within {deadline.seconds:g} s (load_deadline_seconds), and was ended"
        except PeerDied:
            worker.wait(0.05)  # its socket closes a moment before it is reaped; the status makes the better message
            reason = f"its worker {worker.how_it_ended()}"
        except GroveError as error:
            reason = error.message
        finally:
            self._tell_output(worker, hop, joint)
        self._end(host)
        raise self._failure(hop, joint, reason)

    def _end(self, host: Host) -> None:
        with put_off():
            worker = self._workers.pop(host)
            worker.kill()
            worker.close()

    def _introduce(self, worker: Worker, version: Version, deadline: Deadline) -> None:
        """Have a worker import a version; it must be the one whose lenses are known."""
        known = self._state.descriptions[version]
        limits = self._state.limits.get(version, self._context.settings.limits)
        found = introduce(self._context, worker, known.record, limits, deadline)
        if found.introduced.lenses != known.introduced.lenses:
            raise PackageError("its lenses changed on disk since they were read; load it again")

    def _order(self, hop: Hop, function: Function, scratch: Scratch) -> RunMap | RunMigrator:
        if isinstance(function, LensFunction):
            return RunMap(function.lens, function.step, function.direction, scratch)
        assert isinstance(function, MigratorFunction)
        chosen = self._context.migrators[function.place]
        ends = _side(hop.source), _side(hop.target)
        return RunMigrator(PROTOCOL, chosen.entry_point, chosen.name, dict(chosen.options), *ends, scratch)

    def _failure(self, hop: Hop, joint: Joint, reason: str) -> GroveError:
        """Say what went wrong, where, and what to do."""
        way = f"between {hop.source.version} and {hop.target.version}"
        match joint.there:
            case LensFunction(version, _, _, direction):
                return LensError(
                    f"its Map of {', '.join(joint.takes)} to {', '.join(joint.gives)} ({direction.value}) failed "
                    f"{way}, and nothing was moved: {reason}\nCorrect the function and install the version anew",
                    module=self._state.name,
                    version=version,
                )
            case _:
                assert isinstance(joint.there, MigratorFunction)
                chosen = self._context.migrators[joint.there.place]
                return PluginFailed(
                    f"the migrator {chosen.name!r} failed {way}, and nothing was moved: {reason}\nCorrect it, take "
                    f"it out of the setting `migrators`, or declare a Lens",
                    module=self._state.name,
                    version=hop.target.version,
                    plugin=chosen.plugin,
                )

    def _tell(self, hop: Hop, joint: Joint, rows: int, ms: float) -> None:
        self._context.emit(
            EventKind.MAPPED,
            self._state.name,
            _version(hop, joint),
            source=str(hop.source.version),
            target=str(hop.target.version),
            migrator=joint.there.name if isinstance(joint.there, MigratorFunction) else None,
            columns=list(joint.gives.values()),
            entities=rows,
            ms=round(ms, 3),
        )

    def _tell_output(self, worker: Worker, hop: Hop, joint: Joint) -> None:
        if text := worker.read_output().rstrip():
            self._context.emit(EventKind.WORKER_OUTPUT, self._state.name, _version(hop, joint), text=text, dropped=0)


def new_state(context: Context, module: str) -> ModuleState:
    """Return the state of a module without versions, whose ways run functions and ask migrators."""
    state = ModuleState(module, context.make_router(), _accepting(context, module))
    state.open_runner = partial(Mapper, context, state)
    state.waiting = context.waiting
    return state


def _accepting(context: Context, module: str) -> Accepting:
    """Return what finds the first migrator that accepts; one that raises becomes an event, and the others count."""

    def find(source: Endpoint, target: Endpoint) -> MigratorFunction | None:
        for place, chosen in enumerate(context.migrators):
            try:
                accepted = bool(chosen.part.accepts(source, target))
            except Exception as error:
                text = f"the migrator {chosen.name!r} raised in accepts: {type(error).__name__}: {error}"
                context.emit(EventKind.PLUGIN_FAILED, module, target.version, plugin=chosen.plugin, error=text)
                continue
            if accepted:
                return MigratorFunction(chosen.name, place)
        return None

    return find


def _version(hop: Hop, joint: Joint) -> Version:
    """Return whose function it is; a migrator's is of no version, and named by where it leads."""
    return joint.there.version if isinstance(joint.there, LensFunction) else hop.target.version


def _host(function: Function) -> Host:
    if isinstance(function, LensFunction):
        return function.version
    assert isinstance(function, MigratorFunction)
    return function.place


def _given(joint: Joint, answer: Any) -> tuple[str, ...]:
    """Return the names of the columns that a worker gave.

    Raises:
        LensError: it raised.
        ProtocolError: it answered what it may not.
    """
    if isinstance(answer, Raised):
        over = "" if answer.limit is None else f"went over its limit {answer.limit}: it "
        raise LensError(f"it {over}raised {answer.error}\n{answer.traceback}".rstrip())
    if not isinstance(answer, Given):
        raise ProtocolError(f"it answered {type(answer).__name__} where Given was due")
    known, told = joint.gives.keys(), set(answer.names)
    if not told <= known or (isinstance(joint.there, LensFunction) and told != known):
        raise ProtocolError(f"it says it gave {', '.join(answer.names) or 'nothing'}, not {', '.join(known)}")
    return answer.names


def _slots(columns: dict[str, arena.Slot], *, writable: bool) -> tuple[Slot, ...]:
    return tuple(Slot(name, slot.dtype.str, slot.offset, slot.length, writable) for name, slot in columns.items())


def _side(end: Endpoint) -> Side:
    return Side(str(end.version), end.schema.specs)
