"""Who fails for the first time, against sets of ids: through births, deaths, moves, and ticks that are taken back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from packaging.version import Version

from grove_core.author.schema import ID, Schema
from grove_core.base.comparison import ERRORS, Objective
from grove_core.base.errors import InvalidInput
from grove_core.base.records import VersionRecord
from grove_core.migration.plan import Endpoint
from grove_core.migration.rows import Batch
from grove_core.routing.quota import Quota
from grove_core.runtime.rows.moves import Newcomers, Transaction, move
from grove_core.runtime.rows.split import despawn
from grove_core.runtime.rows.watch import Firsts, Watch, begin, end
from grove_core.runtime.state.state import Description, LoadedVersion, ModuleState
from grove_core.runtime.state.store import FAILED, Store
from grove_core.runtime.ticking.values import observe
from grove_core.wire.messages import PROTOCOL, Introduced

V1, V2 = VERSIONS = Version("1.0.0"), Version("2.0.0")
SCHEMA = Schema(x="f4")
OBJECTIVES = Objective("rating", at_least=0), Objective("delay", at_least=-5, at_most=5)
NAMES = (ERRORS, "rating", "delay")
PICKS = st.sets(st.integers(0, 30))
SIDES = st.sampled_from(VERSIONS)


def module() -> ModuleState:
    """Two versions of one schema, without anybody in them."""
    state = ModuleState("game", Quota())
    for version in VERSIONS:
        introduced = Introduced(PROTOCOL, SCHEMA.specs, (), (), True, False, False)
        description = Description(VersionRecord("game", version, "game", "game:Main", "/"), SCHEMA, introduced)
        state.versions[version] = LoadedVersion(version, description, Store.make("game", SCHEMA, 400), {}, 0.0)
        state.graph.add(Endpoint(version, SCHEMA), ())
    return state


def bear(state: ModuleState, version: Version, ids: list[int]) -> None:
    with Transaction(state) as transaction:
        batch = Batch(len(ids), SCHEMA.conform({}, len(ids))[1])
        transaction.bring_in(state.versions[version], Newcomers(np.array(ids, np.int64), batch))


class WatchMachine(RuleBasedStateMachine):
    """A module, and beside it what each entity has failed at, by its id."""

    @initialize(begun=st.booleans())
    def begin_with(self, begun: bool) -> None:
        self.state = module()
        self.next = 1
        self.failed: dict[str, set[int]] = {}
        self.expected: dict[tuple[Version, str], list[int]] = {}
        self.watch: Watch | None = None
        self.give_birth(V1, 12)
        if begun:
            self.compare()

    def teardown(self) -> None:
        for loaded in getattr(self, "state", module()).versions.values():
            loaded.store.close()

    def ids(self, version: Version) -> list[int]:
        return self.state.versions[version].table[ID].tolist()

    def picked(self, version: Version, picks: set[int]) -> np.ndarray:
        return np.array(sorted(picks & set(range(self.state.versions[version].count))), np.int64)

    def expect(self, version: Version, name: str, tried: list[int], failed: set[int]) -> None:
        """Note what a version is to have in one name."""
        pending, known = self.expected.setdefault((version, name), [0, 0]), self.failed[name]
        pending[0] += sum(each not in known for each in tried)
        pending[1] += len(failed - known)
        known |= failed

    @rule()
    def compare(self) -> None:
        self.watch = begin(self.state, OBJECTIVES)
        self.failed = {name: set() for name in NAMES}
        self.expected = {}

    @rule()
    def compare_no_more(self) -> None:
        end(self.state)
        self.watch = None

    @rule(version=SIDES, count=st.integers(1, 6))
    def give_birth(self, version: Version, count: int) -> None:
        bear(self.state, version, list(range(self.next, self.next + count)))
        self.next += count

    @rule(version=SIDES, picks=PICKS)
    def kill(self, version: Version, picks: set[int]) -> None:
        despawn(self.state, self.state.versions[version].table[ID][self.picked(version, picks)])

    @rule(source=SIDES, picks=PICKS, every=st.booleans())
    def migrate(self, source: Version, picks: set[int], every: bool) -> None:
        """Some rows are copied; all of them are adopted where the other version has none."""
        target = V2 if source == V1 else V1
        rows = np.arange(self.state.versions[source].count) if every else self.picked(source, picks)
        with Transaction(self.state) as transaction:
            move(transaction, self.state, self.state.versions[source], rows, self.state.versions[target])

    @precondition(lambda self: self.watch is not None)
    @rule(version=SIDES, picks=PICKS, start=st.integers(0, 9), back=st.booleans())
    def tick(self, version: Version, picks: set[int], start: int, back: bool) -> None:
        """Commit a tick of the rows from `start` on, or have it not happen."""
        loaded = self.state.versions[version]
        assert self.watch is not None
        start = min(start, loaded.count)
        failed = self.picked(version, {pick for pick in picks if pick >= start})
        self.watch.tick_begins()
        self.watch.count(loaded, start, loaded.count, failed)
        ratings = np.where(np.arange(loaded.count) % 4, 1.0, -1.0)
        self.watch.observe(loaded, "rating", ratings[start:], slice(start, loaded.count))
        if back:
            self.watch.take_back(self.state)
            return
        ids = np.array(self.ids(version))
        self.expect(version, ERRORS, ids[start:].tolist(), set(ids[failed].tolist()))
        self.expect(version, "rating", ids[start:].tolist(), set(ids[start:][ratings[start:] < 0].tolist()))

    @rule(picks=st.lists(st.tuples(st.integers(1, 40), st.integers(-9, 9)), max_size=9))
    def hear(self, picks: list[tuple[int, int]]) -> None:
        """Values come from outside, several of one entity and some of nobody."""
        places = {each: version for version in VERSIONS for each in self.ids(version)}
        known = [(each, value) for each, value in picks if each in places]
        ids, values = np.array([each for each, _ in picks], np.int64), [value for _, value in picks]
        assert observe(self.state, "delay", values, ids) == len(known)
        for version in VERSIONS if self.watch is not None else ():
            mine = [(each, value) for each, value in known if places[each] == version]
            self.expect(version, "delay", [each for each, _ in mine], {each for each, value in mine if abs(value) > 5})

    @precondition(lambda self: self.watch is not None)
    @rule(version=SIDES)
    def take(self, version: Version) -> None:
        loaded = self.state.versions[version]
        assert self.watch is not None
        for name, firsts in self.watch.take(loaded).items():
            assert firsts == Firsts(*self.expected.pop((version, name), (0, 0))), name
            well = sum(each not in self.failed[name] for each in self.ids(version))
            assert self.watch.at_risk(loaded, name, firsts.failures) == well + firsts.failures

    @invariant()
    def everybody_bears_what_it_failed_at(self) -> None:
        if getattr(self, "watch", None) is None:
            return
        for loaded in self.state.versions.values():
            for each, flags in zip(loaded.table[ID].tolist(), loaded.table[FAILED].tolist(), strict=True):
                assert flags == sum(1 << place for place, name in enumerate(NAMES) if each in self.failed[name])


TestWatch = WatchMachine.TestCase


@given(st.integers(8, 12))
def test_too_many_objectives_are_refused(count: int) -> None:
    state = ModuleState("game", Quota())
    with pytest.raises(InvalidInput, match=f"{count} objectives"):
        begin(state, [Objective(f"v{number}", at_most=1) for number in range(count)])
    assert state.watch is None


def test_two_objectives_of_one_name_are_refused_and_the_comparison_goes_on() -> None:
    state = module()
    bear(state, V1, [1, 2, 3])
    watch = begin(state)
    watch.count(state.versions[V1], 0, 3, np.array([1]))
    with pytest.raises(InvalidInput, match="two objectives are about rating"):
        begin(state, [Objective("rating", at_least=1), Objective("rating", at_most=5)])
    assert state.watch is watch
    assert watch.take(state.versions[V1]) == {ERRORS: Firsts(3, 1)}
    for loaded in state.versions.values():
        loaded.store.close()


def test_seven_objectives_and_the_errors_are_told_apart() -> None:
    state = module()
    bear(state, V1, list(range(1, 9)))
    names = [f"v{number}" for number in range(7)]
    watch, loaded = begin(state, [Objective(name, at_most=0) for name in names]), state.versions[V1]
    watch.count(loaded, 0, 8, np.array([7]))
    for row, name in enumerate(names):
        assert observe(state, name, 1.0, np.array([row + 1])) == 1
    assert loaded.table[FAILED].tolist() == [2, 4, 8, 16, 32, 64, 128, 1]
    assert watch.take(loaded) == {ERRORS: Firsts(8, 1), **dict.fromkeys(names, Firsts(1, 1))}
    for each in state.versions.values():
        each.store.close()
