"""Entities change their version all together or not at all, wherever they are interrupted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.author.lens import Add, Drop, Lens, Scale
from grove_core.author.schema import ID, Schema
from grove_core.base.errors import NoLensPath, OutOfMemory
from grove_core.base.records import VersionRecord
from grove_core.memory import arena as arena_module
from grove_core.memory import table as table_module
from grove_core.migration.plan import Endpoint
from grove_core.migration.rows import Batch
from grove_core.routing.quota import Quota
from grove_core.runtime.rows import adoption as adoption_module
from grove_core.runtime.rows import moves
from grove_core.runtime.rows.moves import Newcomers, Transaction, move, settle
from grove_core.runtime.state.state import Description, Intent, LoadedVersion, ModuleState
from grove_core.runtime.state.store import ARRIVAL, ORIGIN, PINNED, Store
from grove_core.wire.messages import PROTOCOL, Introduced

V1, V2, V3 = VERSIONS = tuple(map(Version, ("1.0.0", "2.0.0", "3.0.0")))
SCHEMAS = {
    V1: Schema(x="f4", n="i8"),
    V2: Schema(x="f4", flag="?"),
    V3: Schema(x="f4", flag="?", heat="f8"),
}
LENSES = (
    Lens("==1.*", "==2.*", [Scale("x", 3.0, 0.1), Drop("n"), Add("flag", True)]),
    Lens("==2.*", "==3.*", [Add("heat", 1.5)]),
)
MAX_ROWS = 200

Seen = dict[int, tuple[Any, ...]]
Moves = list[tuple[Version, Version, list[int]]]
"""From where, to where, which rows."""


def add(state: ModuleState, version: Version, *, lenses: tuple[Lens, ...] = LENSES) -> LoadedVersion:
    schema = SCHEMAS[version]
    introduced = Introduced(PROTOCOL, schema.specs, lenses, (), True, False, False)
    loaded = LoadedVersion(
        version,
        Description(VersionRecord("game", version, "game", "game:Main", "/"), schema, introduced),
        Store.make("game", schema, MAX_ROWS),
        {},
        0.0,
    )
    state.versions[version] = loaded
    state.graph.add(Endpoint(version, schema), lenses)
    return loaded


def populate(state: ModuleState, version: Version, count: int) -> None:
    loaded, first = state.versions[version], state.next_id
    generator = np.random.default_rng(first)
    columns = {
        spec.name: generator.integers(0, 100, count).astype(spec.dtype) + spec.dtype.type(0)
        for spec in loaded.schema.specs
    }
    transaction = Transaction(state)
    ids = np.arange(first, first + count)
    transaction.bring_in(loaded, Newcomers(ids, Batch(count, columns), pinned=ids % 5 == 0))
    transaction.commit()
    state.next_id += count


@contextmanager
def world(*counts: int) -> Iterator[ModuleState]:
    """A module with so many entities in each of its versions."""
    state = ModuleState("game", Quota())
    try:
        for version, count in zip(VERSIONS, counts, strict=True):
            add(state, version)
            populate(state, version, count)
        yield state
    finally:
        for loaded in state.versions.values():
            loaded.store.arena.close()


def seen(state: ModuleState) -> Seen:
    """Every entity: its version, and every bit it has and carries, wherever its row is."""
    found: Seen = {}
    for loaded in state.ordered:
        table = loaded.table
        columns = {name: bits(table[name]) for name in (ARRIVAL, ORIGIN, PINNED, *loaded.schema.names)}
        for row, one in enumerate(table[ID].tolist()):
            assert one not in found, f"{one} is in two versions"
            carried = {
                names.value: [bits(table[name])[row] for name in (names.value, names.image) if name is not None]
                for names in loaded.store.carried.values()
                if table[names.valid][row]
            }
            found[one] = (loaded.version, {name: values[row] for name, values in columns.items()}, carried)
    return found


def bits(values: NDArray[Any]) -> list[bytes]:
    return [value.tobytes() for value in values]


def prepared(state: ModuleState, wanted: Moves) -> Transaction:
    state.split_number += 1
    transaction = Transaction(state)
    for source, target, rows in wanted:
        move(transaction, state, state.versions[source], np.array(rows, np.int64), state.versions[target])
    return transaction


def intended(state: ModuleState, transaction: Transaction) -> Intent:
    """What `commit` would note."""
    versions = transaction._appended.keys() | transaction._removed.keys()
    counts = {one: transaction.store(state.versions[one]).table.count for one in versions}
    return Intent(
        {one: count + transaction._appended.get(one, 0) for one, count in counts.items()},
        {one: tuple(rows) for one, rows in transaction._removed.items()},
        tuple(transaction._adoptions),
    )


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[int], Moves]:
    counts = [draw(st.integers(0, 25)) for _ in VERSIONS]
    wanted: Moves = []
    for source, count in zip(VERSIONS, counts, strict=True):
        goes = draw(st.lists(st.sampled_from(VERSIONS), min_size=count, max_size=count))
        for target in VERSIONS:
            rows = [row for row, there in enumerate(goes) if there == target]
            if target != source and rows:
                wanted.append((source, target, rows))
    return counts, wanted


def interrupted(call: Callable[[], object], at: int) -> bool:
    """Press Ctrl-C before the line number `at` of those that `call` runs in moves and tables; was it reached?"""
    files, lines = {module.__file__ for module in (moves, adoption_module, table_module, arena_module)}, 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            lines += 1
            if lines == at + 1:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


SCENE: tuple[list[int], Moves] = (
    [12, 9, 4],
    [(V1, V2, [0, 3, 4, 11]), (V1, V3, [1, 2]), (V2, V1, [8, 0]), (V3, V2, [0, 1, 2, 3])],
)


def test_an_interruption_before_any_line_of_a_commit_changes_nothing_or_everything() -> None:
    counts, wanted = SCENE
    outcomes, at = set(), 0
    while True:
        with world(*counts) as state:
            before = seen(state)
            transaction = prepared(state, wanted)
            assert seen(state) == before  # nothing shows before the commit
            if not interrupted(transaction.commit, at):
                after = seen(state)
                break
            settle(state)
            outcomes.add((at, seen(state) == before))
            assert state.intent is None
            assert not settle(state)
        at += 1
    assert at > 30
    assert {nothing for _, nothing in outcomes} == {True, False}
    noted = min(at for at, nothing in outcomes if not nothing)
    for at, nothing in outcomes:
        assert nothing == (at < noted)
        with world(*counts) as state:
            transaction = prepared(state, wanted)
            interrupted(transaction.commit, at)
            settle(state)
            assert seen(state) == (before if nothing else after)


def anew(state: ModuleState) -> Transaction:
    """Version 2 is written anew: its even rows stay, turned round; some of version 1's come, those of version 3 go."""
    state.split_number += 1
    transaction, one, two, three = Transaction(state), *(state.versions[version] for version in VERSIONS)
    transaction.write_anew(two)
    stay = np.arange(0, two.count, 2)[::-1]
    transaction.bring_in(two, Newcomers(two.table[ID][stay], moves.extract(two, stay), 7, 0, np.ones(len(stay), bool)))
    move(transaction, state, one, np.array([0, 2, 3]), two, pinned=False)
    transaction.take_out(three, slice(0, three.count))
    return transaction


def test_a_version_that_is_written_anew_is_so_in_all_or_not_at_all() -> None:
    at, outcomes = 0, set()
    while True:
        with world(8, 9, 4) as state:
            prepared(state, [(V1, V2, [0, 1])]).commit()  # they carry something
            before, obsolete = seen(state), state.versions[V2].store
            transaction = anew(state)
            assert seen(state) == before
            if not interrupted(transaction.commit, at):
                after = seen(state)
                assert obsolete.arena.bytes == 0
                break
            settle(state)
            outcomes.add((at, seen(state) == before))
            if seen(state) != before:
                last = seen(state)
            else:
                transaction.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
                assert state.versions[V2].store is obsolete
        at += 1
    assert {nothing for _, nothing in outcomes} == {True, False}
    assert last == after
    noted = min(at for at, nothing in outcomes if not nothing)
    assert all(nothing == (at < noted) for at, nothing in outcomes)
    assert {version: sum(row[0] == version for row in after.values()) for version in VERSIONS} == {V1: 3, V2: 9, V3: 0}
    stayed = [one for one, row in after.items() if row[0] == V2 and row[1][PINNED] == b"\x01"]
    assert len(stayed) == 6
    for one in stayed:
        assert {name: after[one][1][name] for name in SCHEMAS[V2].names} == {
            name: before[one][1][name] for name in SCHEMAS[V2].names
        }
        assert after[one][2] == before[one][2]


def test_a_version_that_cannot_be_written_anew_keeps_what_it_has() -> None:
    with world(150, 100, 0) as state:
        before, store = seen(state), state.versions[V2].store
        made = []
        with pytest.raises(OutOfMemory), Transaction(state) as transaction:
            transaction.write_anew(state.versions[V2])
            made.append(transaction.store(state.versions[V2]))
            for _ in range(2):
                move(transaction, state, state.versions[V1], np.arange(150), state.versions[V2])
        assert seen(state) == before and state.versions[V2].store is store
        assert made[0].arena.bytes == 0


def test_who_comes_first_with_a_change_carries_nothing_of_who_comes_last() -> None:
    with world(1, 5, 5) as state:
        target = state.versions[V1]
        arena = target.store.arena
        arena.reserve(20)
        stale = arena.allocate([np.dtype("?")] * 20)
        for slot in stale:
            arena.array(slot)[:20] = True  # as memory is that was given up
        arena.free(stale)
        prepared(state, [(V2, V1, [0, 1, 2]), (V3, V1, [3, 4])]).commit()
        carried = [row[2] for row in seen(state).values() if row[0] == V1]
        assert len(carried) == 6
        assert sum(any("heat" in name for name in each) for each in carried) == 2


@given(scenes(), st.integers(0, 120), st.integers(0, 120))
def test_also_if_the_replay_is_interrupted(scene: tuple[list[int], Moves], first: int, second: int) -> None:
    counts, wanted = scene
    with world(*counts) as state:
        before = seen(state)
        prepared(state, wanted).commit()
        after = seen(state)
    with world(*counts) as state:
        transaction = prepared(state, wanted)
        interrupted(transaction.commit, first)
        noted = state.intent is not None
        interrupted(lambda: settle(state), second)
        settle(state)
        assert seen(state) in (before, after)
        if noted:
            assert seen(state) == after


@given(scenes(), st.data())
def test_an_intent_half_applied_is_replayed_and_twice_is_once(
    scene: tuple[list[int], Moves], data: st.DataObject
) -> None:
    counts, wanted = scene
    with world(*counts) as state:
        prepared(state, wanted).commit()
        after = seen(state)
    with world(*counts) as state:
        transaction = prepared(state, wanted)
        intent = intended(state, transaction)
        adopted = data.draw(st.integers(0, len(intent.adoptions)))
        for adoption in intent.adoptions[:adopted]:
            moves._hand_over(state, adoption)
        order = data.draw(st.permutations(sorted(intent.totals))) if adopted == len(intent.adoptions) else []
        done = data.draw(st.integers(0, len(order)))
        for version in order[:done]:
            table = state.versions[version].table
            table.count = table.fill_holes(intent.removed.get(version, ()), intent.totals[version])
        for version in order[done : done + 1]:  # some columns are compacted, the others are not, nor is the count
            table, removed = state.versions[version].table, intent.removed.get(version, ())
            kept = {name: table.rows(name, 0, intent.totals[version]).copy() for name in table.slots}
            table.fill_holes(removed, intent.totals[version])
            for name in data.draw(st.sets(st.sampled_from(sorted(table.slots)))):
                table.rows(name, 0, intent.totals[version])[...] = kept[name]
        for _ in range(2):
            state.intent = intent
            assert settle(state)
            assert seen(state) == after
            assert not settle(state)


@example(([0, 0, 1], [(V3, V1, [0])]))
@given(scenes())
@settings(max_examples=50)
def test_every_entity_keeps_its_place_in_exactly_one_version(scene: tuple[list[int], Moves]) -> None:
    counts, wanted = scene
    with world(*counts) as state:
        before = seen(state)
        layouts = {version: (loaded.table, loaded.table.layout) for version, loaded in state.versions.items()}
        ids = {(source, row): int(state.versions[source].table[ID][row]) for source, _, rows in wanted for row in rows}
        goes = {ids[source, row]: (source, target) for source, target, rows in wanted for row in rows}
        prepared(state, wanted).commit()
        assert {one: row[0] for one, row in seen(state).items()} == {
            one: goes[one][1] if one in goes else row[0] for one, row in before.items()
        }
        for loaded in state.ordered:
            table = loaded.table
            for one, arrival, origin, pinned in zip(
                *(table[name].tolist() for name in (ID, ARRIVAL, ORIGIN, PINNED)), strict=True
            ):
                assert pinned == (one % 5 == 0)
                if one in goes:
                    assert arrival == state.split_number
                    assert state.codes[origin] == goes[one][0]
                else:
                    assert (arrival, origin) == (0, -1)
            touched = loaded.version in {end for source, target, _ in wanted for end in (source, target)}
            assert ((table, table.layout) != layouts[loaded.version]) == touched, "an adopted table is another one"


@given(scenes())
@settings(max_examples=50)
def test_there_and_back_again_brings_back_every_bit(scene: tuple[list[int], Moves]) -> None:
    counts, wanted = scene
    with world(*counts) as state:

        def own() -> dict[int, tuple[Any, ...]]:
            return {
                one: (loaded.version, *values)
                for loaded in state.ordered
                for one, *values in zip(
                    loaded.table[ID].tolist(),
                    *(bits(loaded.table[name]) for name in loaded.schema.names),
                    strict=True,
                )
            }

        before = own()
        home = {one: row[0] for one, row in before.items()}
        prepared(state, wanted).commit()
        back: Moves = []
        for loaded in state.ordered:
            for target in VERSIONS:
                rows = [row for row, one in enumerate(loaded.table[ID].tolist()) if home[one] == target]
                if rows and target != loaded.version:
                    back.append((loaded.version, target, rows))
        prepared(state, back).commit()
        assert own() == before


def test_who_is_born_later_carries_nothing_of_who_lay_there_before() -> None:
    with world(5, 0, 0) as state:
        prepared(state, [(V1, V2, [0, 1, 2, 3, 4])]).commit()
        prepared(state, [(V2, V1, [0, 1, 2, 3, 4])]).commit()
        populate(state, V2, 5)
        assert [row[2] for one, row in seen(state).items() if one > 5] == [{}] * 5
        prepared(state, [(V2, V1, [0, 1, 2, 3, 4])]).commit()
        table = state.versions[V1].table
        assert table["n"][table[ID] > 5].tolist() == [0] * 5


def test_what_does_not_fit_moves_nobody() -> None:
    with world(150, 100, 0) as state:
        before, layouts = seen(state), {one.version: one.table.layout for one in state.ordered}
        transaction = Transaction(state)
        move(transaction, state, state.versions[V1], np.arange(100), state.versions[V2])
        with pytest.raises(OutOfMemory):
            move(transaction, state, state.versions[V1], np.arange(100, 150), state.versions[V2])
        assert not settle(state)
        assert seen(state) == before
        prepared(state, [(V1, V2, [0])]).commit()  # what lies behind the live rows is overwritten
        assert len(seen(state)) == 250
        assert state.versions[V2].count == 101
        assert state.versions[V1].table.layout != layouts[V1]


def test_without_a_way_nobody_moves() -> None:
    state = ModuleState("game", Quota())
    for version in (V1, V2):
        add(state, version, lenses=())
    try:
        populate(state, V1, 5)
        before = seen(state)
        transaction = Transaction(state)
        with pytest.raises(NoLensPath):
            move(transaction, state, state.versions[V1], np.arange(5), state.versions[V2])
        transaction.commit()
        assert seen(state) == before
    finally:
        for loaded in state.versions.values():
            loaded.store.arena.close()
