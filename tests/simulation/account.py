"""What must be true after every call, whatever happened: the engine's books against the model's."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from packaging.version import Version

from grove_core import MultiVersionEngine
from grove_core.base.events import Event, EventKind
from grove_core.base.records import FaultKind, TickReport
from grove_core.runtime.state.state import Condition, LoadedVersion, ModuleState

from .model import Row, Ticked
from .process import Condition as ProcessCondition
from .versions import CLASSES, MODULE
from .worker import SimulatedIsolation

Seen = dict[int, tuple[Version, tuple[int | float, ...]]]
"""Where each entity is, and its values as its version has them."""

ENGINES_OWN = ("it has no worker", "the world cannot be shown")
"""Faults that follow from what happened before, or to the engine: it had no memory to show the world with."""


class Broken(AssertionError):
    """Something that must always be true is not."""


@dataclass
class Fate:
    """What became of all rows of one version in a tick: the version that ticked them, or None."""

    group: Version
    by: Version | None
    committed: int
    rows: dict[int, Row]
    children: list[Row]


class Account:
    """Knows what every entity must be, and holds an engine against it.

    Args:
        engine: the engine.
        isolation: its workers.
    """

    def __init__(self, engine: MultiVersionEngine, isolation: SimulatedIsolation) -> None:
        self.rows: dict[int, Row] = {}
        self.where: dict[int, Version] = {}
        self._engine = engine
        self._isolation = isolation
        self._documents: dict[int, tuple[LoadedVersion, int]] = {}
        """By identity: the version, and what its document said before its first tick."""

    @property
    def state(self) -> ModuleState | None:
        """The module, if a version of it is loaded."""
        return self._engine._states.get(MODULE)

    @property
    def paused(self) -> bool:
        """Whether the module says that it is not ticked."""
        return self.state is not None and self.state.condition is Condition.PAUSED

    def picture(self) -> object:
        """Return what a call that fails must leave as it was."""
        state = self.state
        if state is None:
            return None
        return state.stable, dict(state.weights), sorted(state.versions), dict(self.where)

    @property
    def over(self) -> set[int]:
        """The numbers of the workers that were let go of."""
        return {worker.pid for worker in self._isolation.workers if worker.closed}

    # -- after each call -----------------------------------------------------------------------------------

    def born(self, ids: Iterable[int], rows: Iterable[Row]) -> None:
        """Note entities that a call gave birth to."""
        self.rows.update(zip(ids, rows, strict=True))

    def ended(self, ids: Iterable[int]) -> None:
        """Note entities that a call ended."""
        for each in ids:
            del self.rows[each]

    def check(self) -> None:
        """Hold everything that can be seen against what must be true.

        Raises:
            Broken: it is not.
        """
        seen = self.seen()
        if seen.keys() != self.rows.keys():
            lost, new = sorted(self.rows.keys() - seen.keys()), sorted(seen.keys() - self.rows.keys())
            raise Broken(f"entities are lost: {lost}; nobody bore: {new}")
        for each, (version, values) in seen.items():
            if values != (expected := self.rows[each].shown(version)):
                raise Broken(f"entity {each} in {version} is {values}, and must be {expected}")
        self.where = {each: version for each, (version, _) in seen.items()}
        self._check_books()
        self._check_workers()
        self._check_documents()

    def seen(self) -> Seen:
        """Read every entity where it lies; no worker is asked, so that looking changes nothing."""
        found: Seen = {}
        for loaded in [] if self.state is None else self.state.ordered:
            table = loaded.table
            columns = [table[name].tolist() for name in loaded.schema.names]
            rows = zip(table["id"].tolist(), zip(*columns, strict=True), strict=True)
            for each, values in rows:
                if each in found:
                    raise Broken(f"entity {each} is in {found[each][0]} and in {loaded.version}")
                found[each] = loaded.version, values
        return found

    def _check_books(self) -> None:
        state = self.state
        if state is None:
            return
        if state.stable not in state.versions:
            raise Broken(f"stable is {state.stable}, and loaded are {sorted(state.versions)}")
        if not state.weights.keys() <= state.versions.keys() or abs(sum(state.weights.values()) - 1) > 1e-9:
            raise Broken(f"weights are {state.weights}, and loaded are {sorted(state.versions)}")
        if state.intent is not None:
            raise Broken("an intent is left")

    def _check_workers(self) -> None:
        held = set() if self.state is None else {id(one.worker) for one in self.state.ordered if one.worker is not None}
        for worker in self._isolation.workers:
            if not worker.closed and id(worker) not in held:
                raise Broken(f"{worker.process.called} is held by nobody, and was not let go of")
            gone = worker.process.condition is ProcessCondition.ENDED or worker.process.unkillable
            if worker.closed and not gone:
                raise Broken(f"{worker.process.called} was let go of, and lives")

    def _check_documents(self) -> None:
        """A document changes with committed ticks, and with nothing else."""
        for loaded in [] if self.state is None else self.state.ordered:
            if loaded.document is not None:
                before = msgspec.msgpack.decode(loaded.document)["ticks"] - loaded.meter.ticks
                _, first = self._documents.setdefault(id(loaded), (loaded, before))
                if before != first:
                    raise Broken(f"{loaded.version} counts {before - first} ticks more than were committed")

    # -- after a tick --------------------------------------------------------------------------------------

    def ticked(self, report: TickReport | None, dt: float, was_paused: bool, events: Sequence[Event]) -> None:
        """Find out what became of the rows of each version, and whether that may be; the model follows.

        Args:
            report: None if the tick was interrupted.
            dt: its seconds.
            was_paused: whether the module was paused before.
            events: what the engine told meanwhile.

        Raises:
            Broken: nothing that may be explains what is seen.
        """
        seen, groups = self.seen(), self._groups()
        possible = [list(self._fates(group, ids, seen, dt)) for group, ids in groups.items()]
        for (group, ids), fates in zip(groups.items(), possible, strict=True):
            if not fates:
                raise Broken(self._unexplained(group, ids, seen, dt))
        untouched = seen.keys() == self.rows.keys() and all(any(one.by is None for one in fates) for fates in possible)
        if report is None and untouched:
            return  # it did not happen
        for fates in itertools.product(*possible):
            if self._may_be(fates, report, was_paused, events) and self._accept(fates, seen, events):
                return
        told = [f"rows of {fates[0].group} ticked by {[str(fate.by) for fate in fates]}" for fates in possible]
        faults = [f"{event.version} {event.details['message']}" for event in events if event.kind is EventKind.FAULT]
        what = "the interrupted tick" if report is None else f"{report.entities} ticked, {report.skipped} skipped"
        raise Broken(
            f"{what} is not explained by: {told}, faults {faults}, "
            f"new {sorted(seen.keys() - self.rows.keys())}, gone {sorted(self.rows.keys() - seen.keys())}"
        )

    def blamed(self, events: Sequence[Event], over: set[int]) -> None:
        """Hold the faults of a tick against what happened to workers; those in `over` were let go of before.

        Raises:
            Broken: a version is blamed, and nothing happened to any worker of it.
        """
        harmed = {one.version for one in self._isolation.workers if one.pid not in over and one.process.harmed}
        for event in events:
            if event.kind is not EventKind.FAULT or event.details["fault"] == FaultKind.ERRORS.value:
                continue  # what a version itself says of its entities
            told = event.details["message"]
            if str(event.version) not in harmed and not any(one in told for one in ENGINES_OWN):
                raise Broken(f"{event.version} is blamed, and did nothing: {told}")

    def _groups(self) -> dict[Version, list[int]]:
        groups: dict[Version, list[int]] = {}
        for each, version in sorted(self.where.items()):
            groups.setdefault(version, []).append(each)
        return groups

    def _fates(self, group: Version, ids: list[int], seen: Seen, dt: float) -> Iterator[Fate]:
        """Yield every fate of these rows that what is seen of them agrees with."""
        for by in (None, *CLASSES):
            fate = Fate(group, by, 0, {}, [])
            if all(self._agrees(fate, each, seen.get(each), dt) for each in ids):
                yield fate

    def _agrees(self, fate: Fate, each: int, seen: tuple[Version, tuple[int | float, ...]] | None, dt: float) -> bool:
        """Work out what became of one entity, and tell whether it looks like that."""
        row = self.rows[each]
        done = Ticked(row, failed=True) if fate.by is None else row.ticked(fate.by, dt)
        if done.row is not None:
            if seen is None or seen[1] != done.row.shown(seen[0]):
                return False
            fate.rows[each] = done.row
        elif seen is not None:
            return False
        if done.child is not None:
            fate.children.append(done.child)
        fate.committed += not done.failed
        return True

    def _may_be(
        self, fates: Sequence[Fate], report: TickReport | None, was_paused: bool, events: Sequence[Event]
    ) -> bool:
        """Tell whether the rules allow this."""
        faulted = [event.version for event in events if event.kind is EventKind.FAULT]
        for fate in fates:
            if was_paused:
                right = fate.by is None
            elif fate.group not in faulted:
                right = fate.by == fate.group
            else:
                right = fate.by is not None or self._may_miss(fate.group, len(faulted), {one.kind for one in events})
            if not right:
                return False
        committed = sum(fate.committed for fate in fates)
        return report is None or (report.entities, report.skipped) == (committed, len(self.rows) - committed)

    def _may_miss(self, version: Version, faults: int, kinds: set[EventKind]) -> bool:
        """Tell whether the rows of a version that failed may have had no tick, which the report counts.

        Where they skip it, where nobody could take over just then, and where the version that took over was given up
        for a fault of its own before it came to them.
        """
        gone = self.state is None or version not in self.state.versions
        return bool(kinds & {EventKind.CATCH_UP_SKIPPED, EventKind.PAUSED}) or (gone and faults > 1)

    def _accept(self, fates: Sequence[Fate], seen: Seen, events: Sequence[Event]) -> bool:
        """Take these fates for what happened, if they explain the newborn too."""
        refused = sum(
            "newborn were refused" in reason
            for event in events
            if event.kind is EventKind.ENTITIES_FAILED
            for reason in event.details["reasons"]
        )
        new = {each: seen[each] for each in seen.keys() - self.rows.keys()}
        bearing = [fate for fate in fates if fate.children]
        for without in itertools.combinations(bearing, min(refused, len(bearing))):
            children = [child for fate in bearing if fate not in without for child in fate.children]
            if (matched := _matched(new, children)) is not None:
                self.rows = {each: row for fate in fates for each, row in fate.rows.items()} | matched
                return True
        return False

    def _unexplained(self, group: Version, ids: list[int], seen: Seen, dt: float) -> str:
        lines = [f"the rows of {group} are neither as they were nor as any version would have left them"]
        for each in ids[:5]:
            row = self.rows[each]
            lines.append(f"  {each}: {seen.get(each)}, was {row}, {group} makes it {row.ticked(group, dt)}")
        return "\n".join(lines)


def _matched(new: Seen, children: list[Row]) -> dict[int, Row] | None:
    """Tell which newborn is which child; None if they are not the same."""
    left, matched = Counter(children), {}
    for each, (version, values) in sorted(new.items()):
        child = next((one for one in left if left[one] and one.shown(version) == values), None)
        if child is None:
            return None
        left[child] -= 1
        matched[each] = child
    return None if left.total() else matched
