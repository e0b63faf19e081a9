"""What every verb of the runtime needs of its engine: parts, clock, and where events go."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from grove_core.base.clock import Clock
from grove_core.base.events import Event, EventKind
from grove_core.base.waiting import Waiting
from grove_core.parts.contracts import FaultPolicy, GcPolicy, Hold, ReviewingPolicy, Router, Validator
from grove_core.parts.plugins import Catalogue, Chosen, PartKind
from grove_core.parts.running import Isolation
from grove_core.parts.settings import Choice, Settings
from grove_core.runtime.copies.packages import Packages
from grove_core.runtime.state.injecting import FaultPlan
from grove_core.runtime.state.migrators import ChosenMigrator, choose_migrators
from grove_core.runtime.state.sinks import Sinks, choose_sinks

if TYPE_CHECKING:
    from grove_core.runtime.state.state import ModuleState

EVENTS = 10_000
"""How many events an engine remembers."""
REMEMBERED_TEXT = 4096
"""The longest text that is remembered whole: a version that prints without end must not fill the engine's memory."""


class Context:
    """The engine's parts, as its verbs see them.

    Args:
        settings: which parts, which limits.
        clock: decides; see `grove_core.base.clock`.
        catalogue: what plugins register.
        isolation: where versions run; None for what the settings choose.
        waiting: how workers are waited for, and held to deadlines.
        faults_allowed: whether faults may be injected.

    Raises:
        UnknownPart, PluginFailed: the settings name what cannot be made; nothing was started.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        catalogue: Catalogue,
        isolation: Isolation | None,
        waiting: Waiting,
        faults_allowed: bool,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.waiting = waiting
        self.catalogue = catalogue
        self.faults_allowed = faults_allowed
        self.packages = Packages()
        self.fault_plan = FaultPlan()
        self.fenced = False
        """Whether versions that are loaded have their columns fenced; see `worker.fence`."""
        self.keep_fault_rows = False
        """Whether a fault is told with copies of its rows, as they were before it and as it left them."""
        self.modules: dict[str, ModuleState] = {}
        """Every module that has a version, by its name: what depends on what goes across them."""
        self.holds: dict[str, Hold] = {name: catalogue.make(PartKind.HOLD, name, {}) for name in settings.holds}
        self.migrators: tuple[ChosenMigrator, ...] = choose_migrators(catalogue, settings.migrators)
        self.validators: list[Chosen[Validator]] = catalogue.choose(PartKind.VALIDATOR, settings.validators)
        self.fault_policy: FaultPolicy = self._make(PartKind.FAULT_POLICY, settings.fault_policy)
        self.reviewing = self.fault_policy if isinstance(self.fault_policy, ReviewingPolicy) else None
        """The same, where it has a say about failed entities, and has not failed itself."""
        catalogue.find(PartKind.GC_POLICY, settings.gc_policy.use)  # made once a threshold is known
        self.make_router()  # a wrong name is found now, before anything is started
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.sinks: Sinks = choose_sinks(catalogue, settings.sinks, settings.sample_interval_seconds)
        try:
            self.isolation: Isolation = isolation or self._make(PartKind.ISOLATION, settings.isolation)
        except BaseException:
            self.close_sinks()
            raise

    def make_router(self) -> Router:
        """Make the router that the settings choose, for one module."""
        router: Router = self._make(PartKind.ROUTER, self.settings.router)
        return router

    def make_gc_policy(self, unused_threshold_seconds: float) -> GcPolicy:
        """Make the collection policy that the settings choose, for one module."""
        choice = self.settings.gc_policy
        policy: GcPolicy = self.catalogue.make(
            PartKind.GC_POLICY, choice.use, {**choice.options, "unused_threshold_seconds": unused_threshold_seconds}
        )
        return policy

    def _make(self, kind: PartKind, choice: Choice) -> Any:
        return self.catalogue.make(kind, choice.use, choice.options)

    def emit(self, kind: EventKind, module: str | None = None, version: Version | None = None, **details: Any) -> None:
        """Remember an event, and give it to every sink; of a long text only both ends are remembered."""
        self.tell_of_sinks()  # what was dropped came before this
        self._take(kind, details, module, version)
        self.tell_of_sinks()

    def tell_of_sinks(self) -> None:
        """Tell of sinks that failed or could not keep up, as events."""
        for trouble in self.sinks.troubles():
            self._take(trouble.kind, trouble.details)

    def close_sinks(self) -> None:
        """Have every sink write what is left, for some seconds at most; they get nothing afterwards."""
        self.sinks.close(self.tell_of_sinks)

    def _take(
        self,
        kind: EventKind,
        details: Mapping[str, Any],
        module: str | None = None,
        version: Version | None = None,
    ) -> None:
        event = Event(kind, self.clock.now(), module, version, details)
        self.events.append(_remembered(event))
        self.sinks.event(event)


def _remembered(event: Event) -> Event:
    """Return an event, of its long texts both ends only."""
    shortened = {name: _shortened(value) for name, value in event.details.items() if _is_long(value)}
    return replace(event, details={**event.details, **shortened}) if shortened else event


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > REMEMBERED_TEXT


def _shortened(text: str) -> str:
    left_out, half = len(text) - REMEMBERED_TEXT, REMEMBERED_TEXT // 2
    return f"{text[:half]}\n... {left_out} characters are left out here, and are in the log ...\n{text[-half:]}"
