"""What is kept is what was there: every bit, through the ring, whatever happened to the rows in between."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.author.schema import ID
from grove_core.runtime.rows.moves import Transaction
from grove_core.runtime.state.past import KeptGeneration, Live, Past
from grove_core.runtime.state.state import LoadedVersion, ModuleState
from grove_core.runtime.state.store import ARRIVAL, ORIGIN, PINNED

from .test_moves import V1, V2, V3, VERSIONS, add, bits, populate, prepared, seen, world

Bits = dict[int, tuple[Any, ...]]
KEEP = 2


def take(state: ModuleState, past: Past, number: int) -> None:
    live = [Live(one.version, one.schema, one.store, bytes([number])) for one in state.ordered]
    past.take("past", number, float(number), live, KEEP)


def held(generation: KeptGeneration) -> Bits:
    """What a generation holds, as `seen` shows what is there."""
    found: Bits = {}
    for version, kept in generation.tables.items():
        table, batch = kept.table, kept.batch(np.arange(kept.table.count))
        engine = {name: bits(table[name]) for name in (ARRIVAL, ORIGIN, PINNED)}
        columns = engine | {name: bits(values) for name, values in batch.columns.items()}
        for row, one in enumerate(table[ID].tolist()):
            carried = {
                names.value: [
                    bits(values)[row]
                    for values in (batch.carried[each].value, batch.carried[each].image)
                    if values is not None
                ]
                for each, names in kept.carried.items()
                if batch.carried[each].valid[row]
            }
            found[one] = (version, {name: values[row] for name, values in columns.items()}, carried)
    return found


def change(state: ModuleState, loaded: LoadedVersion, act: str, seed: int) -> None:
    chance, table = np.random.default_rng(seed), loaded.table
    rows = np.flatnonzero(chance.random(loaded.count) < 0.4)
    if act == "process":
        for name in loaded.schema.names:
            table[name][...] = chance.integers(0, 100, loaded.count).astype(table[name].dtype)
    elif act == "pin":
        table[PINNED][rows] ^= True
    elif act == "bear" and loaded.count < 40:
        populate(state, loaded.version, int(chance.integers(1, 4)))
    elif act == "end":
        with Transaction(state) as transaction:
            transaction.take_out(loaded, rows)
    elif act == "move" and len(rows):
        target = VERSIONS[(VERSIONS.index(loaded.version) + 1) % len(VERSIONS)]
        prepared(state, [(loaded.version, target, rows.tolist())]).commit()
    elif act == "move all" and loaded.count:
        target = VERSIONS[(VERSIONS.index(loaded.version) + 1) % len(VERSIONS)]
        prepared(state, [(loaded.version, target, list(range(loaded.count)))]).commit()


ACTS = st.sampled_from(["process", "pin", "bear", "end", "move", "move all"])
STEPS = st.lists(st.lists(st.tuples(st.sampled_from(VERSIONS), ACTS), max_size=3), min_size=1, max_size=12)


@given(STEPS, st.integers(0, 1000))
@settings(deadline=None)
def test_every_generation_holds_every_bit_of_then(steps: list[list[tuple[Version, str]]], seed: int) -> None:
    past, then = Past(), {}
    with world(6, 5, 0) as state:
        for number, changes in enumerate(steps):
            for place, (version, act) in enumerate(changes):
                change(state, state.versions[version], act, seed + 10 * number + place)
            take(state, past, number)
            then[number] = seen(state)
            assert [each.number for each in past] == sorted(then)[-KEEP:]
            for each in past:
                assert held(each) == then[each.number]
                assert each.documents == dict.fromkeys(VERSIONS, bytes([each.number]))
        past.close()


def test_a_version_that_is_gone_is_kept_until_its_turn_is_over() -> None:
    past = Past()
    with world(3, 4, 0) as state:
        take(state, past, 1)
        then = seen(state)
        arena = past.generations[0].tables[V2].table.arena
        state.versions.pop(V2).store.close()
        take(state, past, 2)
        first, second = past
        assert held(first) == then and first.counts == {V1: 3, V2: 4, V3: 0}
        assert held(second) == seen(state) and second.counts == {V1: 3, V3: 0}
        assert arena.bytes > 0
        take(state, past, 3)
        assert arena.bytes == 0
        add(state, V2)
        populate(state, V2, 2)
        take(state, past, 4)
        assert held(past.generations[-1]) == seen(state)
        past.close()
        assert list(past) == []
