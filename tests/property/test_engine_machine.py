"""Any sequence of calls, faults and kills: after each step, what is always true."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from grove_core import DebugEngine, GroveError, ManualClock, Settings, Since
from grove_core.base.errors import AlreadyLoaded, InvalidRule, UnknownGeneration, UnknownVersion, UnloadRefused
from grove_core.base.records import MigrationRecord

from .ledger import COLUMNS, LEDGER, SOURCES
from .model import TRUE_OF, Module, Row
from .watching import kill, mapped_by, outcome, values_of

Engine = DebugEngine
DT = 0.25
KEPT = 2
SETTINGS = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, max_entities=1 << 12, keep_generations=KEPT)

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
IDS = st.lists(
    st.one_of(INT64, st.integers(-5, 5), st.sampled_from([-(1 << 63), (1 << 63) - 1, 1 << 62, (1 << 62) - 1])),
    min_size=1,
    max_size=30,
    unique=True,
)
VERSIONS = st.sampled_from(sorted(SOURCES))
PICKS = st.lists(st.integers(0, 1 << 16), max_size=12)
SMALL = st.integers(-(1 << 40), 1 << 40)
PARTS = st.one_of(
    st.sampled_from([(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (9, 1, 0), (1, 9, 0), (2, 3, 5), (1, 2, 0)]),
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)),
)
"""Weights in proportion: thirds and zeros among them."""
OFF = st.sampled_from([Fraction(0), Fraction(0), Fraction(1, 200), Fraction(-1, 200)])


class EngineMachine(RuleBasedStateMachine):
    """Drives an engine and the model side by side."""

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        super().__init__()
        self.open_engine = open_engine
        self.engine = open_engine()
        self.model = Module()
        self.recorded: list[Callable[[Engine], Any]] = []
        self.number = 0

    def do(self, step: Callable[[Engine], Any]) -> Any:
        """Take a step that can be taken again by another engine."""
        self.recorded.append(step)
        return step(self.engine)

    def teardown(self) -> None:
        """The same inputs give the same assignment and the same state."""
        try:
            with self.open_engine() as again:
                for step in self.recorded:
                    try:
                        step(again)
                    except GroveError:
                        continue  # it was refused the first time too, which the rules checked
                assert outcome(again, self.model) == outcome(self.engine, self.model)
        finally:
            self.engine.close()

    @property
    def ids(self) -> list[int]:
        return sorted(self.model.rows)

    def picked(self, picks: list[int]) -> list[int]:
        return sorted({self.ids[pick % len(self.ids)] for pick in picks}) if self.ids else []

    def where(self) -> dict[int, int]:
        located = self.engine.locate(LEDGER, self.ids)
        return {each: version.major for each, version in zip(self.ids, located, strict=True)}

    # -- rules ---------------------------------------------------------------------------------------------

    @initialize(versions=st.lists(VERSIONS, unique=True), ids=IDS)
    def start(self, versions: list[int], ids: list[int]) -> None:
        for version in versions:
            self.load(version)
        if versions:
            self.spawn(ids, (3, 12_345, 40_000, -9))

    @rule(version=VERSIONS)
    def load(self, version: int) -> None:
        if version in self.model.loaded:
            with pytest.raises(AlreadyLoaded):
                self.do(lambda engine: engine.load_module_version(LEDGER, version))
        else:
            self.do(lambda engine: engine.load_module_version(LEDGER, version))
            self.model.load(version)

    @precondition(lambda self: self.model.loaded)
    @rule(version=VERSIONS)
    def unload(self, version: int) -> None:
        def step(engine: Engine) -> Any:
            return engine.unload_module_version(LEDGER, version)

        if version not in self.model.loaded:
            with pytest.raises(UnknownVersion):
                self.do(step)
        elif self.model.may_unload(version):
            self.do(step)
            self.model.unload(version)
        else:
            with pytest.raises(UnloadRefused):
                self.do(step)

    @precondition(lambda self: self.model.loaded)
    @rule(ids=IDS, schema_values=st.tuples(INT64, SMALL, INT64, SMALL))
    def spawn(self, ids: list[int], schema_values: tuple[int, int, int, int]) -> None:
        new = [each for each in ids if each not in self.model.rows]
        a, step, grain, b = schema_values
        self.bear(new, len(new), {"a": a, "step": step, "grain": grain, "b": b})

    @precondition(lambda self: self.model.loaded)
    @rule(count=st.sampled_from([0, 1, 3, 10]), step=st.integers(-100, 100), grain=st.integers(-40_000, 40_000))
    def spawn_without_ids(self, count: int, step: int, grain: int) -> None:
        self.bear(None, count, {"a": 5, "step": step, "grain": grain, "b": 11})

    def bear(self, given: list[int] | None, count: int, seed: dict[str, int]) -> None:
        """Spawn so many; each has values of its own, within what stable's schema holds."""
        schema = self.model.stable
        assert schema is not None
        low, high = {3: (-(1 << 15), (1 << 15) - 1)}.get(schema, (-(1 << 63), (1 << 63) - 1))
        columns = {
            name: [seed["a" if name == "total" else name] ^ row for row in range(count)] for name in COLUMNS[schema]
        }
        columns["grain"] = [min(high, max(low, value)) for value in columns["grain"]]
        arrays = {name: np.array(values, np.int64) for name, values in columns.items()}
        before = self.model.counts()
        ids = self.do(lambda engine: engine.spawn(LEDGER, id=given, **arrays)).tolist()
        assert len(set(ids)) == count and not self.model.rows.keys() & set(ids)
        assert given is None or ids == given
        born = {each: {name: columns[name][row] for name in columns} for row, each in enumerate(ids)}
        rules = [self.model.rule_of(each, Row.born(schema, values)) for each, values in born.items()]
        ruled = [rule.version for rule in rules if rule is not None]
        expected = self.model.quota_of_births(count - len(ruled), ruled)
        located = [version.major for version in self.engine.locate(LEDGER, ids)]
        assert [place for place, rule in zip(located, rules, strict=True) if rule is not None] == ruled
        free = [place for place, rule in zip(located, rules, strict=True) if rule is None]
        assert {version: free.count(version) for version in before} == expected
        self.model.bear(schema, born, dict(zip(ids, located, strict=True)))

    @precondition(lambda self: self.model.loaded)
    @rule(picks=PICKS)
    def despawn(self, picks: list[int]) -> None:
        ids = self.picked(picks)
        assert self.do(lambda engine: engine.despawn(LEDGER, ids)) == len(ids)
        self.model.end(ids)

    @precondition(lambda self: self.model.loaded)
    @rule(parts=PARTS, off=OFF)
    def split(self, parts: tuple[int, int, int], off: Fraction) -> None:
        weights = self.weights(parts, off)
        if weights is not None:
            self.split_by(weights)

    @precondition(lambda self: self.model.loaded)
    @rule(one=PARTS, other=PARTS)
    def split_there_and_back(self, one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
        here, there = self.weights(one, Fraction(0)), self.weights(other, Fraction(0))
        if here is None or there is None:
            return
        self.split_by(here)
        where, shown = self.where(), {version: values_of(self.engine, version) for version in self.model.loaded}
        self.split_by(there)
        self.split_by(here)
        assert self.where() == where, "going back gives the same entities back"
        assert {version: values_of(self.engine, version) for version in self.model.loaded} == shown

    def weights(self, parts: tuple[int, int, int], off: Fraction) -> dict[int, Fraction] | None:
        """Turn parts into weights of loaded versions; None where these parts give them nothing."""
        mine = {version: parts[version - 1] for version in sorted(self.model.loaded)}
        total = sum(mine.values())
        if not total:
            return None
        weights = {version: Fraction(part, total) for version, part in mine.items()}
        weights[max(weights, key=lambda version: weights[version])] += off
        return weights

    def split_by(self, weights: dict[int, Fraction]) -> None:
        before, pinned = self.where(), {each for each, row in self.model.rows.items() if row.fixed}
        given = {version: float(weight) for version, weight in weights.items()}
        report = self.do(lambda engine: engine.set_traffic_split(LEDGER, given))
        self.model.set_weights(weights)
        quota, counts, after = self.model.quota(), self.model.counts(), self.where()
        changed = {each for each in before if before[each] != after[each]}
        assert {version.major: count for version, count in report.entities.items()} == quota
        assert report.moved == len(changed) == sum(max(0, counts[v] - quota[v]) for v in quota), "the fewest moves"
        assert not changed & pinned
        total = sum(weights.values())
        assert report.normalised_from == (None if total == 1 else pytest.approx(float(total)))
        for each in changed:
            self.model.move([each], after[each], "split")

    @precondition(lambda self: self.model.loaded)
    @rule(picks=PICKS, version=VERSIONS)
    def pin(self, picks: list[int], version: int) -> None:
        ids = self.picked(picks)
        if version not in self.model.loaded:
            with pytest.raises(UnknownVersion):
                self.do(lambda engine: engine.pin(LEDGER, ids, version))
            return
        self.do(lambda engine: engine.pin(LEDGER, ids, version))
        self.model.move(ids, version, "pin")
        for each in ids:
            self.model.rows[each].pinned, self.model.rows[each].rule = True, None

    @precondition(lambda self: self.model.loaded)
    @rule(picks=PICKS)
    def unpin(self, picks: list[int]) -> None:
        ids = self.picked(picks)
        self.do(lambda engine: engine.unpin(LEDGER, ids))
        for each in ids:
            self.model.rows[each].pinned = False

    @precondition(lambda self: self.model.loaded)
    @rule(
        version=VERSIONS, column=st.sampled_from(["id", "a", "total", "grain", "b"]), text=st.sampled_from([*TRUE_OF])
    )
    def pin_where(self, version: int, column: str, text: str) -> None:
        def step(engine: Engine) -> Any:
            return engine.pin_where(LEDGER, text.replace("{}", column), version)

        if version not in self.model.loaded or column not in ("id", *COLUMNS[version]):
            with pytest.raises(InvalidRule if version in self.model.loaded else UnknownVersion):
                self.do(step)
            return
        told, expected = self.do(step), self.model.pin_where(version, column, text)
        assert (told.number, told.version.major) == (expected.number, version)

    @precondition(lambda self: self.model.rules)
    @rule(pick=st.integers(0, 5))
    def unpin_rule(self, pick: int) -> None:
        gone = self.model.rules[pick % len(self.model.rules)]
        self.do(lambda engine: engine.unpin_rule(LEDGER, gone.number))
        self.model.unpin_rules([gone])

    @rule(times=st.integers(1, 3))
    def tick(self, times: int) -> None:
        for _ in range(times):
            report = self.do(lambda engine: engine.tick(DT))
            population, paused = len(self.model.rows), self.model.paused
            self.number += 1
            self.model.keep(self.number, KEPT)
            faults = self.model.tick()
            assert Counter(fault.version.major for fault in report.faults) == Counter(faults)
            lost = paused or self.model.paused
            assert report.entities + report.skipped == population
            assert lost or report.skipped == 0
            assert report.ms > 0
            if not lost and not self.model.rules:  # with a rule a version may adopt rows once it was ticked
                for version, mapped in self.mapped().items():
                    assert not self.model.in_version(version) or mapped == self.table(version)[1]

    @precondition(lambda self: self.model.loaded)
    @rule(version=VERSIONS)
    def roll_back(self, version: int) -> None:
        if version not in self.model.known:
            with pytest.raises(UnknownVersion):
                self.do(lambda engine: engine.rollback(LEDGER, version))
            return
        reloaded = version not in self.model.loaded
        report = self.do(lambda engine: engine.rollback(LEDGER, version, max_downtime_ms=60_000.0))
        assert report.reloaded == reloaded
        assert report.entities == len(self.model.rows) - len(self.model.in_version(version))
        self.model.rollback(version)

    @precondition(lambda self: self.model.loaded)
    @rule(version=VERSIONS, pick=st.integers(0, KEPT), since=st.sampled_from(Since))
    def roll_back_to_a_generation(self, version: int, pick: int, since: Since) -> None:
        def step(engine: Engine) -> Any:
            return engine.rollback(LEDGER, version, 60_000.0, generation=number, since=since)

        kept = sorted(self.model.kept)
        number = kept[pick] if pick < len(kept) else self.number + 1
        if number > self.number or version not in self.model.known:
            with pytest.raises(UnknownGeneration if number > self.number else UnknownVersion):
                self.do(step)
            return
        then, now = self.model.kept[number].keys(), self.model.rows.keys()
        restored, born, gone = then & now, now - then, then - now
        elsewhere = {each for each in born if self.model.rows[each].version != version}
        report = self.do(step)
        told = report.restored
        assert (set(told.restored_ids), set(told.born_ids), set(told.gone_ids)) == (restored, born, gone)
        assert (told.restored, told.born, told.gone) == (len(restored), len(born), len(gone))
        assert (told.generation, told.since, told.document) == (number, since, False)
        assert report.entities == len(restored) + len(gone if since is Since.UNDO else elsewhere)
        self.model.rollback_to(number, version, undo=since is Since.UNDO)

    @precondition(lambda self: len(self.model.loaded) > 1)
    @rule(pair=st.tuples(VERSIONS, VERSIONS))
    def migrate(self, pair: tuple[int, int]) -> None:
        source, target = pair
        if source == target or not {source, target} <= self.model.loaded.keys():
            with pytest.raises(GroveError):
                self.do(lambda engine: engine.migrate_state(LEDGER, source, target))
            return
        report = self.do(lambda engine: engine.migrate_state(LEDGER, source, target))
        assert report.entities == len(self.model.in_version(source))
        self.model.migrate(source, target)

    @precondition(lambda self: any(use.alive for use in self.model.loaded.values()))
    @rule(pick=st.integers(0, 2))
    def kill(self, pick: int) -> None:
        alive = sorted(version for version, use in self.model.loaded.items() if use.alive)
        version = alive[pick % len(alive)]
        self.do(lambda engine: kill(engine, version))
        self.model.loaded[version].alive = False

    @precondition(lambda self: any(use.alive for use in self.model.loaded.values()))
    @rule(pick=st.integers(0, 2))
    def have_it_raise(self, pick: int) -> None:
        alive = sorted(version for version, use in self.model.loaded.items() if use.alive)
        version = alive[pick % len(alive)]
        self.do(lambda engine: engine.inject_fault(LEDGER, version, "raise"))
        self.model.loaded[version].armed = True

    # -- always true ---------------------------------------------------------------------------------------

    @invariant()
    def every_entity_has_one_version_and_its_values(self) -> None:
        if not self.model.loaded:
            assert not self.engine.is_version_loaded(LEDGER, 1)
            return
        assert [version.major for version in self.engine.get_loaded_versions(LEDGER)] == sorted(self.model.loaded)
        assert self.where() == {each: self.model.rows[each].version for each in self.ids}
        for version in self.model.loaded:
            expected = {each: row.shown(version) for each, row in self.model.rows.items()}
            assert values_of(self.engine, version) == expected

    @invariant()
    def generations_are_listed(self) -> None:
        told = self.engine.generations(LEDGER) if self.model.loaded else []
        assert [each.number for each in told] == sorted(self.model.kept)
        for each in told:
            counts = Counter(row.version for row in self.model.kept[each.number].values())
            assert {version.major: count for version, count in each.entities.items() if count} == counts

    @invariant()
    def every_place_is_explained(self) -> None:
        history = self.engine.migration_history(LEDGER) if self.model.loaded else []
        for each, row in self.model.rows.items():
            told = self.engine.explain(LEDGER, each)
            assert (told.id, told.version.major, told.pinned) == (each, row.version, row.fixed)
            assert (told.rule and told.rule.number) == row.rule
            assert (told.number == 0) == (told.move is None) == (row.came is None), "no history is that long"
            if told.move is not None and told.origin is not None:
                assert (told.origin.major, told.move.cause.value) == row.came
                assert (told.move.from_version, told.move.to_version) == (told.origin, told.version)
                assert told.move in history and told.move.number == told.number
            assert str(told).startswith(f"{LEDGER} {each} is in {row.version}.0.0, ")
        assert [record.number for record in history] == sorted(record.number for record in history)

    @invariant()
    def rules_are_listed(self) -> None:
        told = self.engine.pin_rules(LEDGER) if self.model.loaded else []
        assert [(each.number, each.version.major, each.rule) for each in told] == [
            (each.number, each.version, each.text.replace("{}", each.column)) for each in self.model.rules
        ]
        pinned = Counter(row.rule for row in self.model.rows.values())
        assert [each.entities for each in told] == [pinned[each.number] for each in told]

    @invariant()
    def roles_and_weights_are_known(self) -> None:
        if self.model.loaded:
            assert self.engine.stable_version(LEDGER).major == self.model.stable
            assert self.engine.is_paused(LEDGER) == self.model.paused
            weights = {version.major: share for version, share in self.engine.get_traffic_split(LEDGER).items()}
            expected = {version: float(self.model.weights.get(version, 0)) for version in self.model.loaded}
            assert weights == pytest.approx(expected, abs=1e-9)

    @invariant()
    def no_worker_maps_a_foreign_column(self) -> None:
        """After an adoption a worker maps its new table with its next tick; until then one that nobody has any more."""
        tables = {version: self.table(version) for version in self.model.loaded}
        for version, mapped in self.mapped().items():
            unowned = {inode for inode, _ in mapped}.isdisjoint(inode for inode, _ in tables.values())
            assert unowned or mapped == tables[version][1]

    def mapped(self) -> dict[int, dict[tuple[int, int], bool]]:
        """Return what the workers that live map: version -> (inode, offset) -> writable."""
        workers = self.engine.workers(LEDGER).items() if self.model.loaded else ()
        alive = ((version.major, pid) for version, pid in workers if self.model.loaded[version.major].alive)
        return {each: mapped_by(pid, self.engine.table_slots(LEDGER, each)[1]) for each, pid in alive}

    def table(self, version: int) -> tuple[int, dict[tuple[int, int], bool]]:
        """Return the inode of a version's table, and what its worker may map of it: (inode, offset) -> writable."""
        inode, slots = self.engine.table_slots(LEDGER, version)
        assert dict(slots.values()) == {name: name not in {"id", "step"} for name in ("id", *COLUMNS[version])}
        return inode, {(inode, offset): writable for offset, (_, writable) in slots.items()}

    @invariant()
    def what_is_reported_was_measured(self) -> None:
        population = len(self.model.rows)
        for version, use in self.model.loaded.items():
            told = self.engine.get_version_metrics(LEDGER, version)
            count = len(self.model.in_version(version))
            assert (told.entities, told.ticks, told.processed_entities, told.errors) == (
                count,
                use.ticks,
                use.processed,
                use.errors,
            )
            assert told.traffic_percent == pytest.approx(100 * count / population if population else 0.0)
            assert told.traffic_percent_set == pytest.approx(100 * float(self.model.weights.get(version, 0)))
            times = (told.p50_process_time_ms, told.avg_process_time_ms, told.p99_process_time_ms)
            assert [time is None for time in times] == [use.ticks == 0] * 3
            assert times[0] is None or (times[2] is not None and 0 <= times[0] <= times[2])
            assert (told.memory_usage_bytes is not None) == use.alive
        if self.model.loaded:
            history: list[MigrationRecord] = self.engine.migration_history(LEDGER)
            assert sum(record.entities for record in history) == self.model.moved
            assert all(
                record.path[0] == record.from_version != record.to_version == record.path[-1] for record in history
            )


@pytest.mark.timeout(600)
def test_any_sequence_of_calls_and_faults(package: Any, installed: Any, isolation: Any) -> None:
    plugin = installed(*(package(LEDGER, f"{major}.0.0", source) for major, source in SOURCES.items()))

    def open_engine() -> Engine:
        return DebugEngine(SETTINGS, clock=ManualClock(), plugins=[plugin], isolation=isolation)

    run_state_machine_as_test(
        lambda: EngineMachine(open_engine),
        settings=settings(
            max_examples=int(os.environ.get("GROVE_EXAMPLES", "45")),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
