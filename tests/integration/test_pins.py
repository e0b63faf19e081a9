"""Entities that are fixed to a version: they count towards its share, and stay through everything but a fault."""

from __future__ import annotations

import numpy as np
from packaging.version import Version

from .acts import start
from .conftest import OpenEngine
from .sources import BOTH, MODULE, V2

ONE, TWO, THREE = (Version(f"{major}.0.0") for major in (1, 2, 3))


def test_pins_count_towards_the_share_and_an_excess_is_reported(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.5, v2=0.5)
    engine.pin(MODULE, [0, 1, 2], 2)
    report = engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    assert (report.entities, report.pinned_excess) == ({ONE: 5, TWO: 5}, {})
    report = engine.set_traffic_split(MODULE, {1: 0.9, 2: 0.1})
    assert (report.entities, report.pinned_excess) == ({ONE: 7, TWO: 3}, {TWO: 2})
    assert engine.locate(MODULE, [0, 1, 2]) == [TWO] * 3
    engine.unpin(MODULE, [0, 1])
    assert engine.locate(MODULE, [0, 1]) == [TWO] * 2, "they stay until the next split"
    report = engine.set_traffic_split(MODULE, {1: 0.9, 2: 0.1})
    assert (report.entities, report.moved) == ({ONE: 9, TWO: 1}, 2)
    assert engine.locate(MODULE, [2]) == [TWO]


def test_a_pin_stays_when_all_of_a_version_is_migrated(open_engine: OpenEngine) -> None:
    engine = open_engine({**BOTH, "3.0.0": V2})
    start(engine, v1=0.5, v2=0.5)
    engine.pin(MODULE, [0, 1], 2)
    engine.load_module_version(MODULE, 3)
    engine.migrate_state(MODULE, 2, 3)
    engine.set_traffic_split(MODULE, {1: 1.0})
    assert engine.locate(MODULE, [0, 1]) == [THREE] * 2
    assert engine.get_version_metrics(MODULE, 3).entities == 2


def test_a_pin_in_the_target_of_a_rollback_stays_and_others_are_dropped(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    start(engine, v1=0.5, v2=0.5)
    engine.pin(MODULE, [0], 1)
    engine.pin(MODULE, [1], 2)
    engine.rollback(MODULE, 1)
    engine.set_traffic_split(MODULE, {2: 1.0})
    assert engine.locate(MODULE, np.arange(10)) == [ONE] + [TWO] * 9
