"""Entities that are fixed to a version by a rule: as long as it is true of them, whatever else happens."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine, GroveError, Since
from grove_core.base.errors import InvalidRule, MigrationRefused, Refused, UnknownVersion, UnloadRefused
from grove_core.base.events import Event, EventKind
from grove_core.base.records import MoveCause
from grove_core.runtime.rows.pinning import MOST_RULES

from .conftest import PATIENT, OpenEngine
from .sources import BOTH, MODULE, V2, version

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))
WALKS = version("e.x += e.step", schema='x="f4", n="i8", step="f4", away="?"')
"""Each entity has a step of its own."""
THREE_ALIKE = {f"{major}.0.0": WALKS for major in (1, 2, 3)}


def walkers(engine: DebugEngine, *versions: int, **columns: Any) -> None:
    """Load versions, and let ten entities be born in the first, with ids and `n` from 0 to 9."""
    for major in versions:
        engine.load_module_version(MODULE, major)
        if major == versions[0]:
            engine.spawn(MODULE, id=np.arange(10), n=np.arange(10), **columns)


def alive(engine: DebugEngine) -> list[int]:
    """Return all ids in their order; as the highest version shows them, to which there is always a way."""
    return sorted(engine.entities(MODULE, version=str(engine.get_loaded_versions(MODULE)[-1]))["id"].tolist())


def where(engine: DebugEngine) -> str:
    """Return the version of each entity, by id."""
    return "".join(str(each.major) for each in engine.locate(MODULE, alive(engine)))


def by_rule(engine: DebugEngine) -> str:
    """Return the number of the rule that pins each entity, by id; `i` for one that is pinned by its id."""
    told = (engine.explain(MODULE, each) for each in alive(engine))
    return "".join(str(one.rule.number) if one.rule else "i" if one.pinned else "-" for one in told)


def events(engine: DebugEngine, kind: EventKind) -> list[Event]:
    return [event for event in engine.events if event.kind is kind]


def test_a_rule_moves_and_pins_at_once(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    walkers(engine, 1, 2, x=np.arange(10) * 100)
    rule = engine.pin_where(MODULE, "x > 600 and n != 8", 2)
    assert (rule.module, rule.number, rule.rule, rule.version, rule.entities) == (
        MODULE,
        1,
        "x > 600 and n != 8",
        TWO,
        2,
    )
    assert engine.pin_rules(MODULE) == [rule]
    assert (where(engine), by_rule(engine)) == ("1111111212", "-------1-1")
    (told,) = events(engine, EventKind.PIN_RULE_SET)
    assert (told.version, told.details) == (TWO, {"number": 1, "rule": rule.rule, "entities": 2, "moved": 2})
    (record,) = engine.migration_history(MODULE)
    assert (record.cause, record.entities, record.from_version, record.to_version) == (MoveCause.PIN, 2, ONE, TWO)
    explained = engine.explain(MODULE, 9)
    assert (explained.pinned, explained.rule, explained.number) == (True, rule, record.number)
    assert "The rule 1 pins it there: no split moves it as long as 'x > 600 and n != 8' is true of it." in str(
        explained
    )


def test_it_is_kept_true_as_entities_change(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1, 2, x=0, step=[1, 2, 3, 0, 0, 0, 0, 0, 0, -1])
    assert engine.pin_where(MODULE, "2 <= x < 5", 2).entities == 0
    assert (where(engine), engine.migration_history(MODULE)) == ("1111111111", [])
    seen = []
    for _ in range(5):
        assert engine.tick(0.1).entities == 10
        seen.append((where(engine)[:3], by_rule(engine)[:3]))
    assert seen == [
        ("122", "-11"),
        ("222", "11-"),
        ("222", "1--"),
        ("222", "1--"),
        ("222", "---"),
    ], "who it is true of no more stays where it is"
    assert engine.set_traffic_split(MODULE, {1: 1.0}).moved == 3
    assert [record.entities for record in engine.migration_history(MODULE)] == [2, 1, 3]


def test_splits_are_exact_and_never_move_whom_a_rule_pins(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1, 2, 3)
    engine.pin_where(MODULE, "n in [0, 1, 2, 3]", 2)
    report = engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    assert (report.entities, report.pinned_excess, report.moved) == ({ONE: 5, TWO: 5, THREE: 0}, {}, 1)
    report = engine.set_traffic_split(MODULE, {1: 0.4, 2: 0.1, 3: 0.5})
    assert (report.entities, report.pinned_excess) == ({ONE: 3, TWO: 4, THREE: 3}, {TWO: 3})
    assert where(engine)[:4] == "2222"
    report = engine.set_traffic_split(MODULE, {1: 1.0})
    assert (report.entities, by_rule(engine)) == ({ONE: 6, TWO: 4, THREE: 0}, "1111------")
    engine.unpin_rule(MODULE, 1)
    assert (where(engine)[:4], by_rule(engine), engine.pin_rules(MODULE)) == ("2222", "----------", [])
    assert engine.set_traffic_split(MODULE, {1: 1.0}).moved == 4
    engine.tick(0.1)
    assert where(engine) == "1111111111", "a rule that was lifted pins nobody"
    (told,) = events(engine, EventKind.PIN_RULE_DROPPED)
    assert told.details == {
        "number": 1,
        "rule": "n in [0, 1, 2, 3]",
        "entities": 4,
        "reason": "it was lifted by hand",
    }


def test_the_first_rule_that_is_true_has_it(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1, 2, 3)
    engine.pin_where(MODULE, "n >= 6", 2)
    engine.pin_where(MODULE, "n >= 3", 3)
    engine.pin_where(MODULE, "n == 1 or n == 9", 1)
    assert (where(engine), by_rule(engine)) == ("1113332222", "-3-2221111")
    assert [(rule.number, rule.version, rule.entities) for rule in engine.pin_rules(MODULE)] == [
        (1, TWO, 4),
        (2, THREE, 3),
        (3, ONE, 1),
    ]
    engine.unpin_rule(MODULE, 1)
    assert by_rule(engine) == "-3-222----"
    engine.tick(0.1)
    assert (where(engine), by_rule(engine)) == ("1113333333", "-3-2222222"), "the next one takes them"
    assert engine.pin_where(MODULE, "n == 0", 2).number == 4, "numbers are not given twice"
    assert by_rule(engine) == "43-2222222"


def test_entities_swap_their_versions_in_one_tick(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_ALIKE)
    x, step = [1] * 4 + [-1] * 4 + [0] * 2, [-2] * 3 + [0] + [2] * 3 + [0] * 3
    walkers(engine, 1, 2, 3, x=x, step=step)
    engine.pin_where(MODULE, "x > 0", 1)
    engine.pin_where(MODULE, "x < 0", 2)
    engine.set_traffic_split(MODULE, {3: 1.0})
    assert (where(engine), by_rule(engine)) == ("1111222233", "11112222--")
    engine.tick(0.1)
    assert (where(engine), by_rule(engine)) == ("2221111233", "22211112--")
    shown = engine.entities(MODULE)
    order = np.argsort(shown["id"])
    assert shown["x"][order].tolist() == [one + other for one, other in zip(x, step, strict=True)]


def test_marks_in_place_follow_rows_that_fill_the_holes_of_others(open_engine: OpenEngine) -> None:
    """Version 1 loses rows in the same change in which others of its rows get their marks."""
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1, 2, x=0, step=[5, 5, 5, 0, 0, 0, 0, -5, -5, -5])
    engine.pin_where(MODULE, "x > 0", 2)
    engine.pin_where(MODULE, "x < 0", 1)
    engine.tick(0.1)
    assert (where(engine), by_rule(engine)) == ("2221111111", "111----222")


def test_pins_by_id_go_before_rules(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1, 2, 3)
    engine.pin(MODULE, [0, 1], 3)
    engine.pin_where(MODULE, "n < 4", 2)
    assert (where(engine), by_rule(engine)) == ("3322111111", "ii11------")
    engine.pin(MODULE, [2], 1)
    engine.tick(0.1)
    assert (where(engine), by_rule(engine)) == ("3312111111", "iii1------")
    engine.unpin(MODULE, np.arange(10))
    assert by_rule(engine) == "---1------", "what a rule pins, unpin leaves to it"
    engine.tick(0.1)
    assert (where(engine), by_rule(engine)) == ("2222111111", "1111------")


def test_the_newborn_are_pinned_at_once(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    walkers(engine, 1, 2)
    engine.pin_where(MODULE, "n > 100", 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    assert where(engine).count("2") == 5
    engine.spawn(MODULE, id=np.arange(10, 16), n=[0, 200, 200, 0, 0, 0])
    located = engine.locate(MODULE, np.arange(10, 16))
    assert (located[1:3], by_rule(engine)) == ([TWO, TWO], "-" * 11 + "11---")
    assert [where(engine).count(each) for each in "12"] == [8, 8], "the others fill what is left"
    assert engine.spawn(MODULE, n=np.arange(0)).tolist() == []


def test_whom_a_version_gives_birth_to_is_pinned_at_once(open_engine: OpenEngine) -> None:
    bears = version("if e.n[0] == 0:\n    e.spawn(x=[1.0, -1.0], n=[50, 60])\ne.n += 1")
    engine = open_engine({"1.0.0": bears, "2.0.0": bears})
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    engine.spawn(MODULE, id=[1])
    engine.pin_where(MODULE, "x > 0", 2)
    engine.tick(0.1)
    assert (where(engine), by_rule(engine)) == ("121", "-1-")
    assert [record.entities for record in engine.migration_history(MODULE)] == [], "it was born there"


def test_a_rule_that_is_true_of_all_takes_their_memory_over(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    walkers(engine, 1, 2, x=np.arange(10))
    inode, _ = engine.table_slots(MODULE, 1)
    engine.pin_where(MODULE, "x > 3", 2)
    engine.unpin_rule(MODULE, 1)
    engine.set_traffic_split(MODULE, {1: 1.0})
    engine.pin_where(MODULE, "True", 2)
    assert (where(engine), by_rule(engine)) == ("2" * 10, "2" * 10)
    assert engine.table_slots(MODULE, 2)[0] == inode, "nothing was copied"
    assert engine.tick(0.1).entities == 10
    engine.unpin_rule(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 1.0})
    engine.pin_where(MODULE, "n >= 0 and hit == 1", 2)
    assert by_rule(engine) == "3" * 10, "what version 1 carries of version 2 counts"


def test_a_rule_speaks_of_the_columns_of_its_version(open_engine: OpenEngine) -> None:
    """Version 3 has other names, units and types; its rule means these, wherever an entity is."""
    third = version(
        "e.far += 100",
        schema='far="i4", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", constant=("fixed",)',
        lenses='Lens("==1.*", "==3.*", [Rename("x", "far"), Scale("far", 100), Cast("far", "i4")])',
    )
    engine = open_engine({**BOTH, "3.0.0": third})
    walkers(engine, 1, 2, 3, x=np.arange(10) / 4, tag=5)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.pin_where(MODULE, "far >= 200 and id != 9 and tag == 5", 3)
    before = where(engine)
    assert by_rule(engine) == "--------1-"
    engine.tick(0.25)  # version 1 adds 0.25, version 2 twice of it
    far = [25 * each + {"1": 25, "2": 50, "3": 100}[at] for each, at in enumerate(before)]
    assert by_rule(engine) == "".join("1" if each >= 200 and one != 9 else "-" for one, each in enumerate(far))
    assert by_rule(engine).count("1") >= 2 and {*where(engine)} == {"1", "2", "3"}
    shown = engine.entities(MODULE, version=3)
    assert dict(zip(shown["id"].tolist(), shown["far"].tolist(), strict=True)) == dict(enumerate(far))


def test_what_only_a_function_could_make_is_refused(open_engine: OpenEngine, refused: Any) -> None:
    second = version(
        "e.n += 1",
        schema='speed="f4", n="i8"',
        top="from grove_core import Map",
        lenses='Lens("==1.*", "==2.*", [Map("x", "speed", lambda x: x * 2, lambda speed: speed / 2)])',
    )
    engine = open_engine({"1.0.0": version("e.n += 1"), "2.0.0": second})
    walkers(engine, 1, 2, x=np.arange(10))
    with refused(engine, InvalidRule, "entities of 1.0.0", "for speed", "can read id, n"):
        engine.pin_where(MODULE, "speed > 3", 2)
    engine.pin_where(MODULE, "n > 6 and id < 9", 2)
    assert (where(engine), by_rule(engine)) == ("1111111221", "-------11-"), "other columns may be read"
    assert engine.tick(0.1).entities == 10


def test_a_rule_to_which_no_way_leads_is_refused(open_engine: OpenEngine, refused: Any) -> None:
    third = version(
        "pass",
        schema='far="f4", n="i8"',
        top="from grove_core import Map",
        lenses='Lens("==1.*", "==3.*", [Map("x", "far", lambda x: x)])',
    )
    engine = open_engine({"1.0.0": version("e.n += 1"), "3.0.0": third})
    walkers(engine, 1, 3)
    with refused(engine, MigrationRefused, "from 3.0.0 to 1.0.0"):
        engine.pin_where(MODULE, "n > 5", 1)
    assert engine.pin_rules(MODULE) == []


def test_a_rule_that_can_be_carried_out_no_more_is_dropped_and_no_tick_fails(open_engine: OpenEngine) -> None:
    third = version(
        "pass",
        schema='far="f4", n="i8"',
        top="from grove_core import Map",
        lenses='Lens("==1.*", "==3.*", [Map("x", "far", lambda x: x)])',
    )
    engine = open_engine({"1.0.0": version("e.n += 1"), "3.0.0": third})
    walkers(engine, 1)
    engine.pin_where(MODULE, "n > 6", 1)
    engine.pin_where(MODULE, "n < 3", 1)
    engine.load_module_version(MODULE, 3)
    assert engine.tick(0.1).entities == 10
    assert len(engine.pin_rules(MODULE)) == 2, "who is in version 1 can be read"
    engine.set_traffic_split(MODULE, {1: 0.6, 3: 0.4})
    assert by_rule(engine).count("-") == 4
    report = engine.tick(0.1)
    assert (report.entities, report.faults) == (10, ())
    dropped = events(engine, EventKind.PIN_RULE_DROPPED)
    assert sorted(event.details["number"] for event in dropped) == [1, 2]
    assert all("from 3.0.0 to 1.0.0" in event.details["reason"] for event in dropped)
    assert (engine.pin_rules(MODULE), by_rule(engine)) == ([], "-" * 10)


def test_a_rule_for_which_there_is_no_room_is_dropped_and_others_stay(open_engine: OpenEngine, refused: Any) -> None:
    engine = open_engine(THREE_ALIKE, settings=msgspec.structs.replace(PATIENT, max_entities=8))
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    engine.spawn(MODULE, id=np.arange(8, 12), n=100)
    engine.pin(MODULE, np.arange(8, 12), 2)
    engine.spawn(MODULE, id=np.arange(8), x=np.arange(8), step=1, n=np.arange(8))
    with refused(engine, GroveError, "max_entities"):
        engine.pin_where(MODULE, "True", 2)
    engine.pin_where(MODULE, "x > 5", 2)
    engine.pin_where(MODULE, "n in [0, 1, 5]", 1)
    for _ in range(2):
        engine.tick(0.1)
    assert (where(engine), by_rule(engine)) == ("111122222222", "22--1111iiii")
    report = engine.tick(0.1)
    assert (report.entities, report.faults) == (12, ())
    (dropped,) = events(engine, EventKind.PIN_RULE_DROPPED)
    assert (dropped.version, dropped.details["number"], dropped.details["entities"]) == (TWO, 1, 4)
    assert "max_entities" in dropped.details["reason"]
    assert (where(engine), by_rule(engine)) == ("111121222222", "22---2--iiii"), "and the next one has its turn"


def test_a_rollback_by_hand_drops_the_rules_to_what_was_left(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1, 2, 3)
    engine.pin_where(MODULE, "n < 2", 1)
    engine.pin_where(MODULE, "n > 6", 2)
    engine.pin_where(MODULE, "n == 6", 3)
    engine.rollback(MODULE, 1)
    assert (where(engine), by_rule(engine)) == ("1" * 10, "11" + "-" * 8)
    assert [rule.number for rule in engine.pin_rules(MODULE)] == [1]
    dropped = events(engine, EventKind.PIN_RULE_DROPPED)
    assert {(event.version, event.details["number"]) for event in dropped} == {(TWO, 2), (THREE, 3)}
    assert all("rolled back to 1.0.0 by hand" in event.details["reason"] for event in dropped)
    (lost,) = events(engine, EventKind.PINS_DROPPED)
    assert lost.details == {"entities": 4}
    engine.tick(0.1)
    assert where(engine) == "1" * 10, "no rule moves anybody back"
    assert engine.pin_where(MODULE, "n > 6", 2).entities == 3, "somebody may say so all the same"


@pytest.mark.parametrize("trusted", [False, True])
def test_a_rule_does_not_fight_the_rollback_of_a_fault(open_engine: OpenEngine, trusted: bool) -> None:
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1, 2)
    if trusted:
        engine.set_traffic_split(MODULE, {2: 1.0})
    engine.pin_where(MODULE, "n > 6", 2)
    engine.pin_where(MODULE, "n < 2", 1)
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(0.1)
    assert (report.entities, len(report.rollbacks)) == (10, 1)
    assert (where(engine), by_rule(engine)) == ("1" * 10, "22" + "-" * 8)
    (dropped,) = events(engine, EventKind.PIN_RULE_DROPPED)
    assert (dropped.version, dropped.details["number"]) == (TWO, 1)
    engine.load_module_version(MODULE, 2)
    engine.tick(0.1)
    assert where(engine) == "1" * 10, "nor when the version is loaded again"


def test_an_aborted_rollout_ends_the_rules_to_its_canary(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1)
    engine.rollouts.start(MODULE, 2)
    engine.pin_where(MODULE, "n > 6", 2)
    assert where(engine)[7:] == "222"
    engine.tick(0.1)
    engine.rollouts.abort(MODULE)
    assert (where(engine), engine.pin_rules(MODULE)) == ("1" * 10, [])
    engine.tick(0.1)
    assert where(engine) == "1" * 10


def test_a_rule_outlives_a_restart_of_its_version(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": WALKS})
    walkers(engine, 1)
    engine.pin_where(MODULE, "n > 6", 1)
    engine.inject_fault(MODULE, 1, "raise")
    assert engine.tick(0.1).entities == 10
    assert (by_rule(engine), len(events(engine, EventKind.RESTARTED))) == ("-" * 7 + "111", 1)


@pytest.mark.parametrize("since", Since)
def test_rules_over_a_rollback_to_a_generation(open_engine: OpenEngine, since: Since) -> None:
    engine = open_engine(THREE_ALIKE, settings=msgspec.structs.replace(PATIENT, keep_generations=4))
    walkers(engine, 1, 2, x=0, step=1)
    engine.pin_where(MODULE, "x >= 1 and n < 3", 1)
    engine.pin_where(MODULE, "x >= 1 and n > 7", 2)
    for _ in range(3):
        engine.tick(0.1)
    assert (where(engine), by_rule(engine)) == ("1111111122", "111-----22")
    engine.rollback(MODULE, 1, generation=1, since=since)
    assert (where(engine), by_rule(engine)) == ("1" * 10, "111-------"), "who stays keeps the pin"
    assert engine.explain(MODULE, 0).rule is not None
    assert [rule.number for rule in engine.pin_rules(MODULE)] == [1]
    engine.pin_where(MODULE, "x == 0", 1)
    assert by_rule(engine) == "3" * 10, "x is 0 again"
    engine.tick(0.1)
    assert by_rule(engine) == "111-------"


def test_migrate_state_drops_the_rules_to_what_it_empties(open_engine: OpenEngine) -> None:
    engine = open_engine({**BOTH, "3.0.0": V2})
    walkers(engine, 1, 2, 3)
    engine.pin_where(MODULE, "n > 6", 2)
    engine.pin_where(MODULE, "n < 2", 1)
    engine.migrate_state(MODULE, 2, 3)
    assert (where(engine), by_rule(engine)) == ("1111111333", "22" + "-" * 8)
    (dropped,) = events(engine, EventKind.PIN_RULE_DROPPED)
    assert dropped.details["reason"] == "migrate_state moved its entities to 3.0.0"
    engine.tick(0.1)
    assert where(engine) == "1111111333"


def test_a_version_that_a_rule_names_is_not_unloaded(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_ALIKE)
    walkers(engine, 1, 2)
    engine.pin_where(MODULE, "x > 100", 2)
    with pytest.raises(UnloadRefused, match=r"the rule 1, 'x > 100', pins entities to it; lift it with unpin_rule"):
        engine.unload_module_version(MODULE, 2)
    engine.enable_auto_gc(MODULE, 0.0)
    engine.tick(0.1)
    assert engine.is_version_loaded(MODULE, 2)
    assert "the rule 1" in events(engine, EventKind.COLLECTION_HELD)[0].details["reason"]
    engine.unpin_rule(MODULE, 1)
    assert [report.version for report in engine.tick(0.1).collected] == [TWO]
    engine.pin_where(MODULE, "x > 100", 1)
    engine.despawn(MODULE, np.arange(10))
    engine.unload_module_version(MODULE, 1)
    assert not engine.is_version_loaded(MODULE, 1), "with its last version the module goes, and its rules"


def test_wrong_rules_change_nothing(open_engine: OpenEngine, refused: Any) -> None:
    engine = open_engine(BOTH)
    walkers(engine, 1, 2)
    with refused(engine, InvalidRule, "counter@1.0.0", "no column 'hit'", "fixed, id, n, tag, x", "^^^"):
        engine.pin_where(MODULE, "hit > 3", 1)
    with refused(engine, InvalidRule, "'=' has no meaning"):
        engine.pin_where(MODULE, "x = 3", 2)
    with refused(engine, InvalidRule, "not 3"):
        engine.pin_where(MODULE, 3, 2)  # type: ignore[arg-type]
    with refused(engine, UnknownVersion):
        engine.pin_where(MODULE, "x > 3", 3)
    for number in (0, 1, True, "x > 3", None):
        with refused(engine, InvalidRule, "there is no rule", "there are: none"):
            engine.unpin_rule(MODULE, number)  # type: ignore[arg-type]
    for number in range(MOST_RULES):
        assert engine.pin_where(MODULE, f"n == {number}", 2).number == number + 1
    assert by_rule(engine) == "12345678910"
    with refused(engine, Refused, f"{MOST_RULES} rules"):
        engine.pin_where(MODULE, "x > 3", 2)
    engine.unpin_rule(MODULE, 5)
    assert engine.pin_where(MODULE, "n == 4", 1).number == MOST_RULES + 1
    assert where(engine) == "2222122222"
