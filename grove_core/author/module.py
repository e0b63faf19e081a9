"""The class an author derives from: one version of one module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from numpy.typing import ArrayLike

from grove_core.author.entities import Entities
from grove_core.author.lens import Lens
from grove_core.author.schema import Array, Schema
from grove_core.author.services import Base
from grove_core.author.world import World

Document = Any
"""What msgpack can hold: None, bool, int, float, str, bytes, list, dict."""


class Module:
    """One version of a module. It runs in a worker of its own; only `schema` and `process` are needed.

    Made without arguments. The engine calls `initialize` once, then `process` each tick; a raise from any
    method is a fault of this version and of no other.
    """

    schema: ClassVar[Schema]
    lenses: ClassVar[Sequence[Lens]] = ()
    catch_up: ClassVar[bool] = True
    """False: rows that were recovered skip the tick they lost, instead of redoing it."""

    config_type: ClassVar[type[msgspec.Struct] | None] = None
    """What describes the config: its keys, their types, bounds and defaults. None: any config will do."""

    newborn: ClassVar[Mapping[str, str]] = {}
    """What newborn get as the config has it, where they are not given it: column -> key, such as "speed": "tank.speed".

    Entities that live keep what they were born with. A key that is not there, or None, leaves the column's default.
    """

    entities: Entities
    """The rows of this call; set before each `process`."""
    world: World
    """The whole module, of all versions, as the last tick committed it; set before each `process`."""
    catching_up: bool = False
    """True while recovered rows redo a tick."""

    unknown: Array
    """In a service for entities: for each whether the module does not have it; of shape (n,), set before each."""

    _version: str = ""
    _bases: Mapping[str, Base] = {}
    _document_changed: bool = False

    def initialize(self, config: Any) -> None:
        """Take the config, before anything else: an instance of `config_type`, or a dict if there is none.

        Default: nothing.
        """

    def update_config(self, config: Any) -> bool:
        """Take another config, between two ticks, and return True. Default: False.

        False says that it cannot be changed while this version runs, and that nothing of it was: then a new worker is
        made ready with it, and goes on with the entities and the last document. A raise refuses the config; as no other
        version gets it then, those that took it, and this one, are called once more with the one that holds.
        """
        return False

    def process(self, dt: float) -> None:
        """Advance the entities by `dt` seconds. Not called when there are none."""
        raise NotImplementedError(f"{type(self).__name__} has no process(self, dt)")

    def observe(self, name: str, values: ArrayLike, ids: ArrayLike | None = None) -> None:
        """Tell of what became of entities in this tick, from within `process`: rollouts compare it between versions.

        Observed is what the tick's commit keeps: nothing of a tick that is lost, nor of entities that failed in it.

        Args:
            name: like `[a-z][a-z0-9_]*`; up to 64 of them.
            values: finite numbers of shape (n,), up to 4,194,304 in a tick.
            ids: whose they are: of shape (n,), also several times the same. None: there is a value for each row, in
                order, or one number that is the version's as a whole, and nobody's.

        Raises:
            InvalidInput, UnknownEntity: nothing of it is observed.
        """
        self.entities._observe(name, values, ids)

    def get_state(self) -> Document:
        """Return what is not per entity, one document per version. Default: None, there is none."""
        return None

    def set_state(self, document: Document) -> None:
        """Take back a document that this version gave. Default: nothing."""

    def mark_state_changed(self) -> None:
        """Say that the document changed in this tick: it is checkpointed with the tick's commit."""
        self._document_changed = True

    def migrate_state_from(self, from_version: str, state: Document) -> bool:
        """Take over another version's document; return whether it was taken.

        Default: the same version's is set, any other is refused.
        """
        if from_version == self.get_version():
            self.set_state(state)
            return True
        return False

    def is_idle(self) -> bool:
        """Tell whether this version may be unloaded now. Default: always."""
        return True

    def get_dependencies(self) -> Sequence[str]:
        """Name the modules this one needs, as PEP 508 requirements on module names. Default: none.

        `Needs` says the same of one module, and gives a handle by which its services are called.
        """
        return ()

    def get_version(self) -> str:
        """Return the version, as the package's metadata has it."""
        return self._version

    def shutdown(self) -> None:
        """Let go of what lies outside Grove, before the worker ends. Default: nothing."""
