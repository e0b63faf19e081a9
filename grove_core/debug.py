"""The same engine with everything visible, and faults on demand."""

from __future__ import annotations

from typing import ClassVar

from packaging.version import Version

from grove_core.base.errors import InvalidInput, Refused
from grove_core.base.versions import Requirement
from grove_core.engine import MultiVersionEngine
from grove_core.runtime.asks import answers_idle
from grove_core.wire.messages import Inject, InjectedKind, Raised

ANSWER_SECONDS = 5.0


class DebugEngine(MultiVersionEngine):
    """For development and tests: it shows what runs where, and lets faults be injected."""

    faults_allowed: ClassVar[bool] = True

    def inject_fault(
        self,
        module: str,
        version: Requirement,
        kind: InjectedKind | str,
        at: int | None = None,
        seconds: float = 1.0,
    ) -> None:
        """Have a version commit a fault in one tick, after its own code has run. Its package is not touched.

        Args:
            module: the module's name.
            version: a loaded version.
            kind: raise, lag, corruption (NaN in a float column) or kill (SIGKILL).
            at: the number of the tick, as in `TickReport.number`; the next one if None.
            seconds: how long a lag lasts.

        Raises:
            InvalidInput: an unknown kind, a tick that is over, or a version that has nothing to corrupt.
        """
        try:
            kind = InjectedKind(kind)
        except ValueError:
            kinds = ", ".join(known.value for known in InjectedKind)
            raise InvalidInput(f"{kind!r} is no fault that can be injected; there are {kinds}", module=module) from None
        with self._turns.take("inject_fault"):
            loaded = self._state(module).resolve(version)
            if at is not None and at <= self._number:
                raise InvalidInput(f"tick {at} is over; the next one is {self._number + 1}", module=module)
            if loaded.worker is None:
                raise Refused("it has no worker", module=module, version=loaded.version)
            loaded.worker.send(Inject(kind, at, float(seconds)))
            answer = loaded.worker.receive(ANSWER_SECONDS)
            if loaded.idle_asked and answers_idle(answer):
                loaded.idle_asked = False
                answer = loaded.worker.receive(ANSWER_SECONDS)
            if isinstance(answer, Raised):
                raise InvalidInput(answer.error, module=module, version=loaded.version)

    def workers(self, module: str) -> dict[Version, int]:
        """Return the process id of each loaded version's worker."""
        with self._turns.take("workers"):
            return {
                loaded.version: loaded.worker.pid for loaded in self._state(module).ordered if loaded.worker is not None
            }

    def table_slots(self, module: str, version: Requirement) -> tuple[int, dict[int, tuple[str, bool]]]:
        """Return the inode of a version's table, and what its worker may map: offset -> (column, writable)."""
        with self._turns.take("table_slots"):
            loaded = self._state(module).resolve(version)
            slots = loaded.store.worker_slots(loaded.schema)
            return loaded.store.arena.inode, {slot.offset: (slot.name, slot.writable) for slot in slots}
