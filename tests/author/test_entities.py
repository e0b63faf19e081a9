"""What `process` sees and may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grove_core import Entities, Module, Schema
from grove_core.base.errors import InvalidColumns, InvalidInput, UnknownEntity

SCHEMA = Schema(x="f4", n="i4", speed="f4", constant="speed")


def made(**columns: Any) -> Entities:
    return Entities.of(SCHEMA, id=[10, -20, 30], **columns)


def test_columns_are_attributes_and_items() -> None:
    entities = made(x=[1, 2, 3])
    assert list(entities) == ["id", "x", "n", "speed"]
    assert len(entities) == 3
    assert entities.x is entities["x"]
    assert entities.id.tolist() == [10, -20, 30]
    assert entities.n.tolist() == [0, 0, 0]
    assert "3 entities" in repr(entities)


def test_every_way_of_writing_writes_in_place() -> None:
    entities = made(x=[1, 2, 3])
    column = entities.x
    entities.x += 1
    entities.x *= np.float32(2)
    entities.x[0] = 0
    assert entities.x is column
    assert column.tolist() == [0, 6, 8]
    entities.x = [7, 8, 9]
    assert column.tolist() == [7, 8, 9]
    entities["x"] = 5
    entities["x"] -= 1
    assert column.tolist() == [4, 4, 4]


def test_id_and_constant_columns_cannot_be_written() -> None:
    entities = made()
    for write in (
        lambda: np.add(entities.id, 1, out=entities.id),
        lambda: np.add(entities.speed, 1, out=entities.speed),
        lambda: setattr(entities, "speed", 3.0),
        lambda: setattr(entities, "id", [1, 2, 3]),
    ):
        with pytest.raises(ValueError, match="read-only"):
            write()
    assert entities.speed.tolist() == [0, 0, 0]


def test_a_column_that_is_not_there_lists_those_there_are() -> None:
    entities = made()
    with pytest.raises(AttributeError, match="'z'; there are id, x, n, speed"):
        _ = entities.z
    with pytest.raises(AttributeError, match="'z'"):
        entities.z = 1


def test_a_column_of_another_length_is_not_written() -> None:
    entities = made(x=[1, 2, 3])
    with pytest.raises(ValueError, match="broadcast"):
        entities.x = [1, 2]
    assert entities.x.tolist() == [1, 2, 3]


def test_lengths_must_agree_with_the_ids() -> None:
    with pytest.raises(InvalidColumns, match="id has 3 values, the columns have 2"):
        made(x=[1, 2])


def births(entities: Entities) -> Any:
    return object.__getattribute__(entities, "_births")


def test_spawn_keeps_what_was_asked_for() -> None:
    entities = made()
    entities.spawn(x=[1, 2])
    entities.spawn(id=[7, 8], n=[3, 4])
    entities.spawn(id=[5, 6])
    entities.spawn()
    assert [birth.count for birth in births(entities)] == [2, 2, 2, 1]
    assert [None if birth.ids is None else birth.ids.tolist() for birth in births(entities)] == [
        None,
        [7, 8],
        [5, 6],
        None,
    ]
    assert births(entities)[1].columns["n"].tolist() == [3, 4]
    assert births(entities)[2].columns["x"].tolist() == [0, 0]
    assert len(entities) == 3, "not before the tick's end"


def test_spawn_refuses_what_does_not_fit() -> None:
    entities = made()
    for columns in ({"z": 1}, {"x": [1, 2], "n": [1]}, {"id": [1], "x": [1, 2]}, {"x": ["a"]}):
        with pytest.raises(InvalidColumns):
            entities.spawn(**columns)
    assert births(entities) == []


def test_despawn_and_fail_take_only_ids_of_these_rows() -> None:
    entities = made()
    entities.despawn([30, 10, 10])
    entities.fail(-20, "off the map")
    assert [ids.tolist() for ids in object.__getattribute__(entities, "_deaths")] == [[10, 30]]
    ((ids, reason),) = object.__getattribute__(entities, "_failures")
    assert (ids.tolist(), reason) == ([-20], "off the map")
    asks: list[Callable[[], None]] = [
        lambda: entities.despawn([10, 11, 12]),
        lambda: entities.fail([11, 12], "no"),
    ]
    for ask in asks:
        with pytest.raises(UnknownEntity, match="2 ids are not among these entities, the first is 11"):
            ask()
    assert len(object.__getattribute__(entities, "_deaths")) == 1


class Mover(Module):
    """A module as an author tests it: without an engine."""

    schema = SCHEMA

    def process(self, dt: float) -> None:
        self.entities.x += self.entities.speed * dt


def test_an_author_can_call_process_in_a_test() -> None:
    mover = Mover()
    mover.entities = made(speed=[2, 4, 6])
    mover.process(0.5)
    assert mover.entities.x.tolist() == [1, 2, 3]
    assert mover.entities.x.dtype == np.float32


def test_a_module_has_defaults_for_all_but_process() -> None:
    bare = Module()
    bare.initialize({"any": 1})
    bare.set_state({"any": 1})
    bare.shutdown()
    assert (bare.get_state(), bare.is_idle(), list(bare.get_dependencies())) == (None, True, [])
    assert (Module.lenses, Module.catch_up, bare.catching_up) == ((), True, False)
    with pytest.raises(NotImplementedError, match=r"Module has no process\(self, dt\)"):
        bare.process(1.0)


def test_only_its_own_document_is_taken_over_by_default() -> None:
    class Keeper(Module):
        taken: Any = None

        def set_state(self, document: Any) -> None:
            self.taken = document

    keeper = Keeper()
    keeper._version = "2.0.0"
    assert not keeper.migrate_state_from("1.0.0", {"a": 1})
    assert keeper.taken is None
    assert keeper.migrate_state_from("2.0.0", {"a": 1})
    assert keeper.taken == {"a": 1}


class Watched(Module):
    schema = SCHEMA


def observing() -> Watched:
    module = Watched()
    module.entities = made(x=[1, 2, 3])
    return module


def told(module: Module) -> list[tuple[str, list[float], list[int] | None]]:
    noted = module.entities._observed
    return [(name, values.tolist(), None if ids is None else ids.tolist()) for name, values, ids in noted]


def test_values_are_observed_of_all_rows_of_some_or_of_none() -> None:
    module = observing()
    module.observe("speed", module.entities.x)
    module.observe("speed", 7, module.entities.id)
    module.observe("rating", [4, 5, 1], [30, 30, -20])
    module.observe("rating", 2.5, 10)
    module.observe("queue", 9)
    module.observe("late", [], [])
    assert told(module) == [
        ("speed", [1.0, 2.0, 3.0], None),
        ("speed", [7.0, 7.0, 7.0], None),
        ("rating", [4.0, 5.0, 1.0], [30, 30, -20]),
        ("rating", [2.5], [10]),
        ("queue", [9.0], []),
    ]


def test_what_is_observed_is_what_it_was_then() -> None:
    module = observing()
    values, ids = np.array([1.0, 2.0]), np.array([10, 30])
    module.observe("speed", values, ids)
    values[:], ids[:] = 9, 9
    assert told(module) == [("speed", [1.0, 2.0], [10, 30])]


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (InvalidInput, ("Speed", 1.0)),
        (InvalidInput, ("speed", [1.0, 2.0])),
        (InvalidInput, ("speed", [1.0, 2.0], [10])),
        (InvalidInput, ("speed", np.nan)),
        (InvalidInput, ("speed", "fast")),
        (UnknownEntity, ("speed", [1.0, 2.0], [10, 11])),
        (InvalidColumns, ("speed", [1.0, 2.0], [1.5, 2.5])),
    ],
)
def test_what_cannot_be_observed_is_refused(error: type[Exception], arguments: tuple[Any, ...]) -> None:
    module = observing()
    with pytest.raises(error):
        module.observe(*arguments)
    assert told(module) == []
