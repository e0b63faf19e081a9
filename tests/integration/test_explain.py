"""Why an entity is where it is: what its row and the history say, and nothing that they do not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core import DebugEngine, ManualClock, Settings
from grove_core.base.errors import InvalidColumns, InvalidInput, UnknownEntity
from grove_core.base.records import Explanation, MoveCause, Role
from grove_core.parts.settings import Choice
from grove_core.runtime.state import state

from .acts import start
from .conftest import OpenEngine, Refused, picture
from .sources import BOTH, MODULE, SCHEMA_1, V1, V2, version

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))
V3 = version(
    "pass",
    schema=SCHEMA_1.replace("constant", 'hit="i8", late="f4", constant'),
    lenses='Lens("==2.*", "==3.*", [Add("late")])',
)
THREE_VERSIONS = {**BOTH, "3.0.0": V3}


def all_of(engine: DebugEngine) -> list[Explanation]:
    """Explain each of the ten entities of `start`; the explanations agree with `locate`, and change nothing."""
    before = picture(engine)
    told = [engine.explain(MODULE, each) for each in range(10)]
    assert [each.version for each in told] == engine.locate(MODULE, np.arange(10))
    assert [each.id for each in told] == list(range(10))
    assert {each.module for each in told} == {MODULE}
    assert picture(engine) == before
    return told


def in_version(engine: DebugEngine, wanted: Version) -> list[Explanation]:
    return [each for each in all_of(engine) if each.version == wanted]


def test_born_there(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=1.0)
    told = engine.explain(MODULE, 4)
    assert (told.number, told.origin, told.move, told.pinned, told.carried) == (0, None, None, False, {})
    assert (told.role, told.weight, told.entities, told.population, told.share) == (Role.STABLE, 1.0, 10, 10, 1.0)
    assert told.router == "quota"
    assert (
        str(told)
        == told.text
        == (
            "counter 4 is in 1.0.0, the stable version, which has the weight 1 and 10 of 10 entities (100 %).\n"
            "It was born there.\n"
            "It is not pinned: the next split may move it, as the router quota decides."
        )
    )


def test_born_of_a_version_is_not_told_from_born_of_a_program(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version("if len(e.id) == 1: e.spawn(n=[5])")})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=1)
    engine.tick(1.0)
    (child,) = set(engine.entities(MODULE)["id"].tolist()) - {1}
    assert engine.explain(MODULE, child).text.splitlines()[1] == engine.explain(MODULE, 1).text.splitlines()[1]


def test_moved_by_a_split(open_engine: OpenEngine) -> None:
    clock = ManualClock()
    engine = open_engine(BOTH, clock=clock)
    clock.advance(1000)
    start(engine, v1=0.7, v2=0.3)
    clock.advance(2.5)
    (record,) = engine.migration_history(MODULE)
    assert (record.cause, record.entities, record.forced) == (MoveCause.SPLIT, 3, False)
    moved = in_version(engine, TWO)
    assert [(each.move, each.number, each.origin) for each in moved] == [(record, record.number, ONE)] * 3
    assert {(each.role, each.weight, each.share, each.at) for each in moved} == {(Role.CANARY, 0.3, 0.3, clock.now())}
    lines = moved[0].text.splitlines()
    assert lines[0].endswith("is in 2.0.0, a canary, which has the weight 0.3 and 3 of 10 entities (30 %).")
    assert lines[1] == (
        f"A split moved it there from 1.0.0, as one of 3 entities, 2.5 s ago "
        f"(at 1,000.0 s by the clock, change {record.number})."
    )
    assert {each.number for each in in_version(engine, ONE)} == {0}


def test_every_split_has_a_number_of_its_own(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_VERSIONS)
    start(engine, v1=0.5, v2=0.3, v3=0.2)
    engine.set_traffic_split(MODULE, {1: 0.4, 2: 0.3, 3: 0.3})
    history = engine.migration_history(MODULE)
    numbers = [record.number for record in history]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 2, "two versions got some in the first, with one number"
    for told in all_of(engine):
        came = [each for each in history if (each.number, each.to_version) == (told.number, told.version)]
        assert came == ([] if told.move is None else [told.move])
    assert next(each.path for each in history if each.to_version == THREE) == (ONE, TWO, THREE)
    latest = next(each for each in in_version(engine, THREE) if each.origin == ONE)
    assert "from 1.0.0 by way of 2.0.0, as one of " in latest.text


def test_a_pin_that_moves_and_one_that_does_not(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.5, v2=0.5)
    here, there = engine.locate(MODULE, np.arange(10)).index(TWO), engine.locate(MODULE, np.arange(10)).index(ONE)
    engine.pin(MODULE, [here, there], 2)
    stayed, moved = engine.explain(MODULE, here), engine.explain(MODULE, there)
    assert stayed.pinned and moved.pinned
    assert stayed.move is not None and moved.move is not None
    assert (stayed.move.cause, moved.move.cause) == (MoveCause.SPLIT, MoveCause.PIN)
    assert stayed.move.number < moved.move.number
    assert "A split moved it there from 1.0.0" in stayed.text
    assert "A pin moved it there from 1.0.0, alone, " in moved.text
    for told in (stayed, moved):
        assert told.text.endswith("It is pinned there: no split moves it until it is unpinned.")
    engine.unpin(MODULE, [here, there])
    stayed, moved = engine.explain(MODULE, here), engine.explain(MODULE, there)
    assert "It is not pinned: the next split may move it" in stayed.text
    assert "Its pin was lifted since: the next split may move it" in moved.text


def test_one_that_was_born_where_it_is_pinned(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=1.0)
    engine.pin(MODULE, [3], 1)
    told = engine.explain(MODULE, 3)
    assert (told.pinned, told.move, told.number) == (True, None, 0)
    assert "It was born there.\nIt is pinned there" in told.text


def test_one_call_that_moves_from_two_versions(open_engine: OpenEngine) -> None:
    """Both parts have one number, and each entity has its own part."""
    engine = open_engine(THREE_VERSIONS)
    start(engine, v1=0.7, v2=0.3)
    origins = dict(enumerate(engine.locate(MODULE, np.arange(10))))
    engine.load_module_version(MODULE, 3)
    engine.pin(MODULE, np.arange(10), 3)
    *_, one, other = engine.migration_history(MODULE)
    assert one.number == other.number
    for told in all_of(engine):
        assert told.origin == origins[told.id]
        assert told.move is not None
        assert (told.move.from_version, told.move.entities) == (told.origin, 7 if told.origin == ONE else 3)


def test_all_of_a_version_came_by_adoption(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_VERSIONS)
    start(engine, v1=1.0)
    engine.pin(MODULE, [3], 1)
    engine.load_module_version(MODULE, 2)
    engine.load_module_version(MODULE, 3)
    engine.migrate_state(MODULE, 1, 3)
    (record,) = engine.migration_history(MODULE)
    told = all_of(engine)
    assert [each.move for each in told] == [record] * 10
    assert [each.pinned for each in told] == [each == 3 for each in range(10)], "a pin goes along"
    assert "migrate_state moved it there from 1.0.0 by way of 2.0.0, as one of 10 entities, " in told[0].text


def test_a_fault_and_a_rollback_by_hand(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.5, v2=0.5)
    canaries = {each.id for each in in_version(engine, TWO)}
    engine.pin(MODULE, sorted(canaries)[:1], 2)
    engine.inject_fault(MODULE, 2, "raise")
    engine.tick(1.0)
    told = all_of(engine)
    assert {each.id for each in told if each.move is not None and each.move.cause is MoveCause.FAULT} == canaries
    assert {each.id for each in told if each.number == 0} == set(range(10)) - canaries
    assert not any(each.pinned for each in told), "a pin does not outlive its version"
    text = engine.explain(MODULE, min(canaries)).text
    assert "A fault of 2.0.0, which is not loaded now, sent it there, as one of 5 entities, " in text
    assert "not pinned" in text
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.rollback(MODULE, 1)
    told = all_of(engine)
    assert {each.move.cause for each in told if each.move is not None} == {MoveCause.ROLLBACK}
    assert [each.move for each in told] == [engine.migration_history(MODULE)[-1]] * 10
    assert "A rollback by hand moved it there from 2.0.0, as one of 10 entities" in told[0].text


def test_after_its_origin_was_unloaded(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=1.0)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    told = engine.explain(MODULE, 0)
    assert (told.origin, told.role) == (ONE, Role.STABLE)
    assert "A split moved it there from 1.0.0, which is not loaded now, as one of 10 entities" in told.text


def test_what_the_history_does_not_reach_is_not_guessed(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "HISTORY", 2)
    engine = open_engine(BOTH)
    start(engine, v1=0.9, v2=0.1)
    (first,) = in_version(engine, TWO)
    assert first.move is not None
    others = [each.id for each in in_version(engine, ONE)]
    for each in others[:2]:
        engine.pin(MODULE, [each], 2)
    told = engine.explain(MODULE, first.id)
    assert (told.move, told.number, told.origin) == (None, first.number, ONE)
    assert (
        f"It came there from 1.0.0 with change {first.number}, which is not in the history: "
        "when and why cannot be told." in told.text
    )
    moves = [engine.explain(MODULE, each).move for each in others[:2]]
    assert moves == engine.migration_history(MODULE)


def test_what_rows_carry_that_their_version_does_not_know(open_engine: OpenEngine) -> None:
    engine = open_engine(THREE_VERSIONS)
    start(engine, v1=0.9, v2=0.1)
    (moved,) = in_version(engine, TWO)
    engine.load_module_version(MODULE, 3)
    engine.pin(MODULE, [moved.id], 3)
    assert engine.explain(MODULE, moved.id).carried == {}
    engine.pin(MODULE, [moved.id], 1)
    told = engine.explain(MODULE, moved.id)
    assert told.carried == {TWO: ("hit",), THREE: ("late",)}
    assert told.text.endswith("It carries what 1.0.0 does not know: hit of 2.0.0; late of 3.0.0.")
    other = next(each for each in range(10) if each != moved.id)
    assert engine.explain(MODULE, other).carried == {}, "the column is there, but this row has none"


def test_the_router_that_was_chosen(open_engine: OpenEngine) -> None:
    settings = Settings(router=Choice("modulo"), tick_deadline_ms=20_000.0, max_entities=1 << 12)
    engine = open_engine({"1.0.0": V1, "2.0.0": V2}, settings=settings)
    start(engine, v1=0.5, v2=0.5)
    assert engine.explain(MODULE, 0).router == "modulo"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (10, UnknownEntity, ["not alive", "10"]),
        (-1, UnknownEntity, ["not alive", "-1"]),
        ([1, 2], InvalidInput, ["one id, not 2"]),
        ([], InvalidInput, ["one id, not 0"]),
        ("1", InvalidColumns, ["ids must be int64"]),
        (1.5, InvalidColumns, ["ids must be int64"]),
        (None, InvalidColumns, ["ids must be int64"]),
        (1 << 63, InvalidColumns, ["ids must be int64"]),
    ],
)
def test_what_is_no_id(
    open_engine: OpenEngine, refused: Refused, given: Any, error: type[Any], words: list[str]
) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=1.0)
    with refused(engine, error, MODULE, *words):
        engine.explain(MODULE, given)
