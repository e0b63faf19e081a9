"""A worker: one version in a process of its own, doing what the engine's messages say."""

from __future__ import annotations

import faulthandler
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np

from grove_core.author.entities import Entities
from grove_core.author.module import Module
from grove_core.author.schema import ID, ID_DTYPE, Columns, Scalar, Schema
from grove_core.author.services import Service
from grove_core.author.world import World
from grove_core.base.errors import PackageError, PeerDied, WorkerError
from grove_core.base.limits import Limits
from grove_core.wire.channel import Channel, close_all
from grove_core.wire.config_messages import CheckConfig, ConfigUpdated, UpdateConfig
from grove_core.wire.faults import FaultPoint
from grove_core.wire.messages import (
    PROTOCOL,
    AskIdle,
    Given,
    Idle,
    Inject,
    Injected,
    Introduced,
    Load,
    Mapped,
    Prepare,
    Raised,
    Ready,
    Remap,
    RunMap,
    RunMigrator,
    Shutdown,
    Slot,
    Tick,
    Ticked,
    ToWorker,
)
from grove_core.wire.patch_messages import Patch, Patched
from grove_core.wire.service_messages import Serve, Served
from grove_core.worker.bounds import Bounds
from grove_core.worker.configs import checked, newborn_of, read
from grove_core.worker.faults import FaultInjector
from grove_core.worker.fence import Fenced, Place, Unfenced
from grove_core.worker.importing import imported, introduction_of, keeps_document
from grove_core.worker.mapping import run_map
from grove_core.worker.requests import ticked
from grove_core.worker.seeing import Looking
from grove_core.worker.services import Answering, Calling

NOTHING = -1
"""What stands for a descriptor where there is nothing to map."""
STDERR = 2
REFUSAL = "this engine does not inject faults; use a DebugEngine"
WARM_UP_ROWS = 8
WARM_UP_SECONDS = 1 / 60
STAGES: dict[type, str] = {
    Load: "import",
    Prepare: "initialize",
    Tick: "process",
    Serve: "service",
    RunMap: "map",
    RunMigrator: "migrate",
    CheckConfig: "config_type",
    UpdateConfig: "update_config",
    Patch: "patch",
}
"""What a version was doing, by the message it was doing it for."""


def run(channel: Channel[ToWorker]) -> int:
    """Serve the engine until it says `Shutdown` or is gone; return the exit status."""
    hosted: Hosted | None = None
    bounds = Bounds(Limits())
    while True:
        try:
            message, descriptors = channel.receive(None)
        except PeerDied:
            return 0
        answer: Any
        try:
            if isinstance(message, Load):
                bounds = Bounds(message.limits)
            with bounds:
                if isinstance(message, Load):
                    hosted, answer = Hosted.load(message, channel, bounds)
                elif isinstance(message, RunMigrator):
                    answer = _migrate(message, descriptors)
                elif hosted is None:
                    answer = Raised("load", f"{type(message).__name__} came before Load", "")
                else:
                    answer = hosted.answer(message, descriptors)
        except BaseException as error:  # also SystemExit: whatever a version raises is an answer
            answer = raised(_stage(message), error, bounds, message.call if isinstance(message, Serve) else 0)
        finally:
            close_all(descriptors)
        try:
            _reply(channel, answer, _stage(message), bounds)
        except PeerDied:
            return 0
        if isinstance(message, Shutdown):
            return 0


class Hosted:
    """A version that was imported: its module object and its columns."""

    def __init__(
        self,
        module: Module,
        schema: Schema,
        order: Load,
        channel: Channel[ToWorker],
        injector: FaultInjector,
        bounds: Bounds,
        services: Iterable[Service],
    ) -> None:
        self.module = module
        self.schema = schema
        self._newborn: dict[str, Scalar] = {}
        self._places: type[Fenced] | type[Unfenced] = Fenced if order.fenced else Unfenced
        self._place: Place = self._places((), NOTHING, NOTHING)
        self._faults_allowed = order.faults_allowed
        self._injector = injector
        self._looking = Looking(channel, bounds)
        self._calling = Calling(channel, bounds)
        self._answering = Answering(module, schema, services)
        self._nobody = Entities(schema, {ID: np.empty(0, ID_DTYPE), **schema.conform({}, 0)[1]})
        self._keeps_document = keeps_document(module)
        self._answers: dict[type, Callable[[Any], Any]] = {
            Tick: self._tick,
            Serve: self._serve,
            CheckConfig: lambda order: checked(type(self.module), order.config),
            UpdateConfig: self._update_config,
            Patch: self._patch,
            AskIdle: lambda _: Idle(bool(module.is_idle())),
            Inject: self._inject,
            Shutdown: self._shutdown,
        }

    @classmethod
    def load(cls, order: Load, channel: Channel[ToWorker], bounds: Bounds) -> tuple[Hosted, Introduced]:
        """Import a version, make its module, and introduce it."""
        if order.protocol != PROTOCOL:
            raise PackageError(
                f"the engine speaks protocol {order.protocol}, this worker {PROTOCOL}: two versions of grove-core"
            )
        if order.faults and not order.faults_allowed:
            raise PermissionError(REFUSAL)
        injector = FaultInjector(channel, order.faults)
        sys.path[:0] = order.path
        module = imported(order.entry_point, order.path)()
        injector.reach(FaultPoint.IMPORT)
        if order.fenced:
            faulthandler.enable(STDERR)  # a view that the fence traps is told with its place
        module._version = order.version
        schema = module.schema
        introduction = introduction_of(module)
        return cls(module, schema, order, channel, injector, bounds, introduction.services), introduction

    def answer(self, message: Any, descriptors: list[int]) -> Any:
        """Do what a message says and return the answer."""
        if isinstance(message, Prepare):
            with self._calling.allowed():
                return self._prepare(message, descriptors)
        if isinstance(message, Remap):
            return self._remap(message, descriptors)
        if isinstance(message, RunMap):
            given = run_map(self.module.lenses, message, *descriptors)
            self._injector.reach(FaultPoint.MIGRATE)
            return given
        return self._answers[type(message)](message)

    def _prepare(self, order: Prepare, descriptors: list[int]) -> Ready:
        self._map(order.slots, descriptors)
        self.module._bases = self._calling.handles(order.bases)
        config = read(type(self.module), order.config)
        self.module.initialize(config)
        self._newborn = newborn_of(type(self.module), config)
        self._injector.reach(FaultPoint.INITIALIZE)
        fresh = self._document()
        self._warm_up()
        self._injector.reach(FaultPoint.WARM_UP)
        if fresh is not None:
            self.module.set_state(msgspec.msgpack.decode(fresh))  # as it was before the warm-up
        taken = self._take_over(order.document, order.document_version)
        if order.document is not None and self._keeps_document:
            self._injector.reach(FaultPoint.MIGRATE)
        return Ready(self._document(), taken)

    def _patch(self, order: Patch) -> Patched:
        self.module.entities = self._nobody  # no rows may be written between two ticks
        taken = self._take_over(order.document, order.document_version)
        self._injector.reach(FaultPoint.PATCH)
        return Patched(self._document(), taken)

    def _take_over(self, document: bytes | None, giver: str) -> bool:
        """Go on from the document of another version, or of other code; tell whether it was taken."""
        taken = False
        if document is not None and self._keeps_document:
            taken = bool(self.module.migrate_state_from(giver, msgspec.msgpack.decode(document)))
        self.module._document_changed = False
        return taken

    def _remap(self, order: Remap, descriptors: list[int]) -> Mapped:
        self.module.entities = self._nobody  # those it had must not be looked at any more
        self._place.unmap()
        self._map(order.slots, descriptors)
        self._injector.reach(FaultPoint.MIGRATE)
        return Mapped()

    def _map(self, slots: tuple[Slot, ...], descriptors: list[int]) -> None:
        writable, read_only = descriptors or (NOTHING, NOTHING)
        self._place = self._places(slots, writable, read_only)
        close_all(descriptors)  # before any code of the version runs: what that forks is not to have them
        descriptors.clear()

    def _warm_up(self) -> None:
        """Run one tick over scratch rows, so that what is slow the first time is over before `Ready`."""
        _, columns = self.schema.conform({})
        scratch = {name: np.repeat(values, WARM_UP_ROWS) for name, values in columns.items()}
        for spec in self.schema.specs:
            scratch[spec.name].flags.writeable = not spec.constant
        ids = np.arange(WARM_UP_ROWS, dtype=ID_DTYPE)
        ids.flags.writeable = False
        self.module.entities = Entities(self.schema, {ID: ids, **scratch})
        self.module.world = World.of(self.schema, id=ids)
        self.module.process(WARM_UP_SECONDS)

    def _tick(self, order: Tick) -> Ticked:
        answer = self._process(order, self._place.open())
        self._place.close()  # not after a raise: the worker is ended then, and the error's text may show a view
        return answer

    def _process(self, order: Tick, columns: Columns) -> Ticked:
        module = self.module
        if order.document is not None:
            module.set_state(msgspec.msgpack.decode(order.document))
        rows = slice(order.start, order.stop)
        entities = Entities(self.schema, {name: column[rows] for name, column in columns.items()}, self._newborn)
        module.entities = entities
        module.world = World(self.schema.names, self._looking)
        module.catching_up = order.catching_up
        self._looking.begin(rows)
        start = time.perf_counter()
        with self._calling.allowed():
            module.process(order.dt)
        self._injector.reach(FaultPoint.PROCESS, order.number, entities)
        if entities._births:
            self._injector.reach(FaultPoint.SPAWN, order.number, entities)
        ms = (time.perf_counter() - start) * 1000
        self._looking.end()
        document = None
        if module._document_changed:
            document = self._document()
            module._document_changed = False
        return ticked(order, ms, entities, document)

    def _serve(self, order: Serve) -> Served:
        self.module.world = World(self.schema.names, self._looking)
        try:
            with self._calling.allowed():
                answer = self._answering.answer(order, self._place.open())
        finally:
            self.module.entities = self._nobody
        self._place.close()  # after a raise the next `open` does it: the error's text may show a view
        return answer

    def _update_config(self, order: UpdateConfig) -> ConfigUpdated:
        self.module.entities = self._nobody  # no rows may be written between two ticks
        config = read(type(self.module), order.config)
        taken = bool(self.module.update_config(config))
        if taken:
            self._newborn = newborn_of(type(self.module), config)
        return ConfigUpdated(taken)

    def _inject(self, order: Inject) -> Injected:
        if not self._faults_allowed:
            raise PermissionError(REFUSAL)
        self._injector.arm(order.fault, self.schema)
        return Injected()

    def _shutdown(self, _: Shutdown) -> Idle:
        self.module.shutdown()
        self._injector.reach(FaultPoint.UNLOAD)
        return Idle(True)

    def _document(self) -> bytes | None:
        return msgspec.msgpack.encode(self.module.get_state()) if self._keeps_document else None


def _migrate(order: RunMigrator, descriptors: list[int]) -> Given:
    from grove_core.worker.migrators import run_migrator  # a version's worker has no use for what this imports

    return run_migrator(order, *descriptors)


def raised(where: str, error: BaseException, bounds: Bounds, call: int = 0) -> Raised:
    """Make the answer for an exception, whatever its text does."""
    try:
        text = str(error)
    except Exception as second:
        text = f"(its text raises {type(second).__name__})"
    return Raised(
        where,
        _encodable(f"{type(error).__name__}: {text}"),
        _encodable("".join(traceback.format_exception(error))),
        bounds.behind(error),
        call,
    )


def _encodable(text: str) -> str:
    """Spell out what UTF-8 cannot hold: the halves of characters that file names may bring along."""
    return text.encode("utf-8", "backslashreplace").decode()


def _reply(channel: Channel[ToWorker], answer: Any, stage: str, bounds: Bounds) -> None:
    """Send an answer; if it holds what cannot cross the wire, that is the answer."""
    try:
        channel.send(answer)
    except WorkerError:
        raise
    except Exception as error:
        channel.send(raised(stage, error, bounds))


def _stage(message: Any) -> str:
    return STAGES.get(type(message), type(message).__name__.lower())
