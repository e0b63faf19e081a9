"""Every message between the engine and a worker. They cross as msgpack; nothing else crosses.

A conversation: the engine sends `Load`, the worker answers `Introduced`; the engine makes the table and sends
`Prepare` with two descriptors, the worker answers `Ready`; then `Tick` and `Ticked` until `Shutdown`.
Whatever a version raises comes back as `Raised`.
"""

from __future__ import annotations

from typing import Any

from grove_core.author.lens import Direction, Lens
from grove_core.author.schema import ColumnSpec
from grove_core.author.services import Service
from grove_core.base.limits import Limit, Limits
from grove_core.wire.config_messages import CheckConfig, ConfigChecked, ConfigUpdated, UpdateConfig
from grove_core.wire.faults import Planned
from grove_core.wire.message import Message as Message
from grove_core.wire.message import Overflow as Overflow
from grove_core.wire.patch_messages import Patch, Patched
from grove_core.wire.service_messages import Answered, CallService, Offer, Serve, Served, Unanswered

PROTOCOL = 1


class Load(Message, frozen=True):
    """Import a version and introduce it."""

    protocol: int
    module: str
    version: str
    entry_point: str
    path: tuple[str, ...]
    faults_allowed: bool
    faults: tuple[Planned, ...] = ()
    """Those that were planned before it was loaded."""
    limits: Limits = Limits()
    """Of these, memory and descriptors are held by the worker."""
    fenced: bool = False
    """Whether its columns can be reached only during a tick, each time at another address."""


class Introduced(Message, frozen=True):
    """What a version is."""

    protocol: int
    specs: tuple[ColumnSpec, ...]
    lenses: tuple[Lens, ...]
    requirements: tuple[str, ...]
    catch_up: bool
    keeps_document: bool
    """Whether it has a document: it defines `get_state`."""
    may_be_busy: bool
    """Whether it must be asked before it is unloaded: it defines `is_idle`."""
    config_schema: dict[str, Any] | None = None
    """What its config may be, as a JSON Schema; None where anything may."""
    checks_config: bool = False
    """Whether it is to be asked about each config before it gets it: it describes it, or newborn get some of it."""
    takes_config: bool = False
    """Whether it can be asked to take another config while it runs: it defines `update_config`."""
    services: tuple[Service, ...] = ()
    """What it answers to those that need it."""


class Slot(Message, frozen=True):
    """Where one column lies in a table's memory."""

    name: str
    dtype: str
    offset: int
    length: int
    writable: bool


class Prepare(Message, frozen=True):
    """Map the columns, initialise, warm up, take over a document.

    Two descriptors come with it: the table for reading and writing, and the table for reading only. Where there are no
    rows there is nothing to map, and none come.
    """

    slots: tuple[Slot, ...]
    config: dict[str, Any]
    document: bytes | None
    """The document to start from, as msgpack, or None."""
    document_version: str
    """The version that gave it."""
    bases: tuple[Offer, ...] = ()
    """What it can call."""


class Ready(Message, frozen=True):
    """The version may be ticked."""

    document: bytes | None
    document_taken: bool


class Remap(Message, frozen=True):
    """Let go of the columns, and map these in their place, if there are any. Descriptors come as with `Prepare`."""

    slots: tuple[Slot, ...]


class Mapped(Message, frozen=True):
    """The answer to `Remap`: nothing of what was mapped before can be reached any more."""


class Tick(Message, frozen=True):
    """Call `process(dt)` over the rows from `start` to `stop`."""

    number: int
    dt: float
    start: int
    stop: int
    catching_up: bool
    document: bytes | None = None
    """The document to go on from, as msgpack, where the worker's own has what was taken back; else None."""
    order: int = 0
    """Comes back with `Ticked`: in one tick a version may be told to do its rows, and others to catch up."""


class AskWorld(Message, frozen=True):
    """While a tick is processed: show the last committed columns of the whole module."""

    names: tuple[str, ...]
    """Columns of the asking version."""
    mapped: tuple[tuple[int, int], ...]
    """What it has mapped already: arena and offset."""


class Seen(Message, frozen=True):
    """Where a column of other rows lies, for reading: in which arena, and where in it."""

    arena: int
    """A number that no other arena has."""
    dtype: str
    offset: int
    length: int


class Part(Message, frozen=True):
    """Rows of one version, as the last tick committed them."""

    rows: int
    columns: tuple[Seen, ...]
    """One for each name that was asked for."""


class Show(Message, frozen=True):
    """The answer to `AskWorld`. For each of `opened` a descriptor comes along, for reading only.

    Where arenas that are not mapped yet are more than descriptors can come along, it is asked again.
    """

    parts: tuple[Part, ...]
    own: int
    """Which of the parts is the asking version's."""
    opened: tuple[int, ...]


class Hide(Message, frozen=True):
    """The answer to `AskWorld` where it cannot be shown."""

    reason: str


class Spawned(Message, frozen=True):
    """Rows that a version asks for: raw column bytes in the schema's dtypes."""

    count: int
    columns: dict[str, bytes]
    ids: bytes | None


class Failed(Message, frozen=True):
    """Entities whose tick failed, as raw int64."""

    ids: bytes
    reason: str


class Observation(Message, frozen=True):
    """Values that a version observed, as raw float64."""

    name: str
    values: bytes
    ids: bytes | None
    """Whose they are, as raw int64. None: there is one for each row, in order. Empty: they are the version's."""


class Ticked(Message, frozen=True):
    """The tick is done."""

    number: int
    ms: float
    spawned: tuple[Spawned, ...] = ()
    despawned: tuple[bytes, ...] = ()
    failed: tuple[Failed, ...] = ()
    document: bytes | None = None
    order: int = 0
    observed: tuple[Observation, ...] = ()
    """At most two of one name: one with and one without entities."""


class AskIdle(Message, frozen=True):
    """Ask whether the version may be unloaded."""


class Idle(Message, frozen=True):
    """The answer to `AskIdle`."""

    idle: bool


class Scratch(Message, frozen=True):
    """Columns of `rows` rows in memory of their own: the function's names, what it takes and where it gives.

    Two descriptors come with it, as with `Prepare`. What is taken is for reading only.
    """

    rows: int
    takes: tuple[Slot, ...]
    gives: tuple[Slot, ...]


class RunMap(Message, frozen=True):
    """Run a function of a `Map` over scratch columns: which lens, which of its steps, which way."""

    lens: int
    step: int
    direction: Direction
    scratch: Scratch


class Side(Message, frozen=True):
    """One end of a migration, as a migrator is shown it."""

    version: str
    specs: tuple[ColumnSpec, ...]


class RunMigrator(Message, frozen=True):
    """Import a plugin and have one of its migrators take scratch columns from one version to another."""

    protocol: int
    plugin: str
    """The entry point's value."""
    name: str
    options: dict[str, Any]
    source: Side
    target: Side
    scratch: Scratch


class Given(Message, frozen=True):
    """The function has run: these of the columns it gives lie in the memory; took so many ms."""

    names: tuple[str, ...]
    ms: float


class Shutdown(Message, frozen=True):
    """Shut down and end."""


class Inject(Message, frozen=True):
    """Commit a fault, once its point is reached."""

    fault: Planned


class Injected(Message, frozen=True):
    """The answer to `Inject`."""


class Raised(Message, frozen=True):
    """A version raised."""

    where: str
    error: str
    traceback: str
    limit: Limit | None = None
    """The limit that it ran into, if that is why."""
    call: int = 0
    """The call of a service that it answers, from 1; 0 if it answers something else."""


def answers_idle(answer: object) -> bool:
    """Tell whether a message is the answer to `AskIdle`, which may come after its asker gave up."""
    return isinstance(answer, Idle) or (isinstance(answer, Raised) and answer.where == "askidle")


def answers_call(answer: object) -> bool:
    """Tell whether a message is the answer to `Serve`, which may come after its asker gave up."""
    return isinstance(answer, Served | Raised) and answer.call > 0


ToWorker = (
    Load
    | Prepare
    | Remap
    | Tick
    | Show
    | Hide
    | Serve
    | Answered
    | Unanswered
    | RunMap
    | RunMigrator
    | CheckConfig
    | UpdateConfig
    | Patch
    | AskIdle
    | Shutdown
    | Inject
    | Overflow
)
ToEngine = (
    Introduced
    | Ready
    | Mapped
    | Ticked
    | AskWorld
    | CallService
    | Served
    | ConfigChecked
    | ConfigUpdated
    | Patched
    | Idle
    | Given
    | Injected
    | Raised
    | Overflow
)
