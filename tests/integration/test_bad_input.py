"""Whatever is wrong with what comes in: an error that says what and where, and nothing else happened."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grove_core import DebugEngine, GroveError, MultiVersionEngine, Settings
from grove_core.base.errors import (
    AlreadyLoaded,
    AmbiguousVersion,
    DuplicateEntity,
    EngineClosed,
    InvalidColumns,
    InvalidInput,
    InvalidRequirement,
    InvalidWeights,
    OutOfMemory,
    PluginFailed,
    UnknownEntity,
    UnknownModule,
    UnknownPart,
    UnknownVersion,
    UnloadRefused,
)
from grove_core.parts.settings import Choice

from .conftest import OpenEngine, Refused
from .sources import BOTH, MODULE, version

NAN = float("nan")


@pytest.fixture
def engine(open_engine: OpenEngine) -> DebugEngine:
    """Two versions, ten entities, nine of them in version 1."""
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=np.arange(10), x=np.arange(10.0), tag=np.arange(10))
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.9, 2: 0.1})
    engine.tick(0.5)
    return engine


# -- which version ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "wanted", "error", "words"),
    [
        ("nothing", 1, UnknownModule, ["nothing", MODULE]),
        (MODULE, 9, UnknownVersion, [MODULE, "9", "1.0.0", "2.0.0"]),
        (MODULE, "1.0.7", UnknownVersion, ["1.0.7"]),
        (MODULE, "one", InvalidRequirement, ["one"]),
        (MODULE, "", InvalidRequirement, ["''"]),
        (MODULE, None, InvalidRequirement, ["None"]),
        (MODULE, True, InvalidRequirement, ["True"]),
        (MODULE, 1.0, InvalidRequirement, ["1.0"]),
        (MODULE, "==1.*", AlreadyLoaded, [f"{MODULE}@1.0.0", "unload it first"]),
    ],
)
def test_a_version_that_cannot_be_had(
    engine: DebugEngine, refused: Refused, module: str, wanted: Any, error: type[GroveError], words: list[str]
) -> None:
    with refused(engine, error, *words):
        engine.load_module_version(module, wanted)


@pytest.mark.parametrize("config", [7, {1: 2}, ["a"], "a"])
def test_a_configuration_that_is_no_mapping(open_engine: OpenEngine, refused: Refused, config: Any) -> None:
    engine = open_engine(BOTH)
    with refused(engine, InvalidInput, "config"):
        engine.load_module_version(MODULE, 1, config=config)


@pytest.mark.parametrize(
    ("wanted", "error"), [(3, UnknownVersion), (">=1", AmbiguousVersion), ("x", InvalidRequirement)]
)
def test_calls_on_versions_that_are_not_loaded(
    engine: DebugEngine, refused: Refused, wanted: Any, error: type[GroveError]
) -> None:
    calls = [
        lambda: engine.unload_module_version(MODULE, wanted),
        lambda: engine.set_traffic_split(MODULE, {wanted: 1.0}),
        lambda: engine.migrate_state(MODULE, 1, wanted),
        lambda: engine.migrate_state(MODULE, wanted, 1),
        lambda: engine.pin(MODULE, [1], wanted),
        lambda: engine.get_version_metrics(MODULE, wanted),
        lambda: engine.entities(MODULE, version=wanted),
        lambda: engine.rollback(MODULE, wanted),
        lambda: engine.inject_fault(MODULE, wanted, "raise"),
    ]
    for call in calls:
        with refused(engine, error, str(wanted)):
            call()


def test_calls_on_a_module_that_is_not_loaded(engine: DebugEngine, refused: Refused) -> None:
    calls = [
        lambda: engine.unload_module_version("other", 1),
        lambda: engine.set_traffic_split("other", {1: 1.0}),
        lambda: engine.get_traffic_split("other"),
        lambda: engine.migrate_state("other", 1, 2),
        lambda: engine.migrate_state("other", 1, 2, force=True),
        lambda: engine.rollback("other", 1),
        lambda: engine.enable_auto_gc("other"),
        lambda: engine.disable_auto_gc("other"),
        lambda: engine.get_loaded_versions("other"),
        lambda: engine.get_version_metrics("other", 1),
        lambda: engine.spawn("other", x=1.0),
        lambda: engine.despawn("other", [1]),
        lambda: engine.entities("other"),
        lambda: engine.locate("other", [1]),
        lambda: engine.explain("other", 1),
        lambda: engine.pin("other", [1], 1),
        lambda: engine.unpin("other", [1]),
        lambda: engine.migration_history("other"),
        lambda: engine.stable_version("other"),
    ]
    for call in calls:
        with refused(engine, UnknownModule, "other", MODULE):
            call()
    assert not engine.is_version_loaded("other", 1)


def test_what_is_needed_is_not_unloaded(engine: DebugEngine, refused: Refused) -> None:
    with refused(engine, UnloadRefused, f"{MODULE}@1.0.0", "9 entities"):
        engine.unload_module_version(MODULE, 1)
    engine.migrate_state(MODULE, 1, 2)
    engine.despawn(MODULE, np.arange(10))
    with refused(engine, UnloadRefused, f"{MODULE}@2.0.0", "weight 1"):
        engine.unload_module_version(MODULE, 2)


# -- weights, moves, ticks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({}, ["at least one"]),
        (None, ["at least one"]),
        ([0.5, 0.5], ["at least one"]),
        ({1: -0.1, 2: 1.1}, ["1.0.0", "-0.1"]),
        ({1: NAN, 2: 1.0}, ["1.0.0", "nan"]),
        ({1: 1.0, 2: NAN}, ["2.0.0", "nan"]),
        ({1: math.inf, 2: 0.0}, ["1.0.0", "inf"]),
        ({1: 0.5, 2: 0.4}, ["0.9"]),
        ({1: 1.0, 2: 0.0101}, ["1.0101"]),
        ({1: 0.0, 2: 0.0}, ["add up to 0"]),
        ({1: 90, 2: 10}, ["100"]),
        ({1: "0.5", 2: 0.5}, ["1.0.0", "'0.5'"]),
        ({1: True, 2: 0.0}, ["True"]),
        ({1: 0.5, "1.0.0": 0.5}, ["second time"]),
    ],
)
def test_weights_that_do_not_fit(engine: DebugEngine, refused: Refused, weights: Any, words: list[str]) -> None:
    with refused(engine, InvalidWeights, MODULE, *words):
        engine.set_traffic_split(MODULE, weights)


@pytest.mark.parametrize("dt", [-0.1, NAN, math.inf, "1", None, 1j, [1.0]])
def test_a_time_that_does_not_fit(engine: DebugEngine, refused: Refused, dt: Any) -> None:
    with refused(engine, InvalidInput, "dt", repr(dt)):
        engine.tick(dt)


def test_moves_that_make_no_sense(engine: DebugEngine, refused: Refused) -> None:
    with refused(engine, InvalidInput, "1.0.0"):
        engine.migrate_state(MODULE, 1, "==1.0.0")
    with refused(engine, InvalidInput, "max_downtime_ms"):
        engine.rollback(MODULE, 1, max_downtime_ms=0)
    with refused(engine, InvalidInput, "max_downtime_ms"):
        engine.rollback(MODULE, 1, max_downtime_ms=NAN)


@pytest.mark.parametrize("threshold", [-1.0, NAN, math.inf, "1"])
def test_a_threshold_that_the_policy_does_not_take(engine: DebugEngine, refused: Refused, threshold: Any) -> None:
    with refused(engine, PluginFailed, "idle"):
        engine.enable_auto_gc(MODULE, threshold)


def test_a_policy_that_is_not_there(open_engine: OpenEngine) -> None:
    with pytest.raises(UnknownPart, match=r"gc_policy 'magic'.*idle"):
        open_engine(BOTH, settings=Settings(gc_policy=Choice("magic")))


def test_faults_that_cannot_be_injected(engine: DebugEngine, refused: Refused) -> None:
    with refused(engine, InvalidInput, "explode", "raise"):
        engine.inject_fault(MODULE, 1, "explode")
    with refused(engine, InvalidInput, "tick 1", "2"):
        engine.inject_fault(MODULE, 1, "raise", at=1)


def test_corruption_needs_a_float_column(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine({"1.0.0": version("e.n += 1", schema='n="i8"')})
    engine.load_module_version(MODULE, 1)
    with refused(engine, InvalidInput, "float column", "1.0.0"):
        engine.inject_fault(MODULE, 1, "corruption")


# -- entities --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"id": [3], "x": 1.0}, DuplicateEntity, ["3", "lives already"]),
        ({"id": [20, 21, 20], "x": 1.0}, DuplicateEntity, ["20", "twice"]),
        ({"id": [20, 21], "x": [1.0, 2.0, 3.0]}, InvalidColumns, ["id has 2", "3"]),
        ({"id": [20.5]}, InvalidColumns, ["ids", "float64"]),
        ({"id": ["a"]}, InvalidColumns, ["ids"]),
        ({"id": [True]}, InvalidColumns, ["ids", "bool"]),
        ({"id": [[20]]}, InvalidColumns, ["2 dimensions"]),
        ({"id": np.array([1 << 63], np.uint64)}, InvalidColumns, ["too large"]),
        ({"id": [1 << 70]}, InvalidColumns, ["ids"]),
        ({"x": [1.0, 2.0], "n": [1, 2, 3]}, InvalidColumns, ["x has 2", "n has 3"]),
        ({"y": [1.0]}, InvalidColumns, ["'y'", "x, n, tag, fixed"]),
        ({"hit": [1]}, InvalidColumns, ["'hit'"]),
        ({"grove.pinned": [True]}, InvalidColumns, ["'grove.pinned'"]),
        ({"x": [[1.0]]}, InvalidColumns, ["'x'", "dimensions"]),
        ({"x": [[1.0], [2.0, 3.0]]}, InvalidColumns, ["'x'"]),
        ({"x": ["a"]}, InvalidColumns, ["'x'"]),
        ({"x": [None]}, InvalidColumns, ["'x'"]),
        ({"x": [1j]}, InvalidColumns, ["'x'"]),
        ({"x": [1.0, NAN]}, InvalidColumns, ["x", "NaN"]),
        ({"n": [1.5]}, InvalidColumns, ["'n'"]),
        ({"n": [NAN]}, InvalidColumns, ["'n'"]),
        ({"n": np.array([1 << 63], np.uint64)}, InvalidColumns, ["'n'"]),
        ({"tag": [300]}, InvalidColumns, ["'tag'"]),
        ({"tag": [101]}, InvalidColumns, ["tag", "101", "100"]),
        ({"tag": [-101]}, InvalidColumns, ["tag", "-101", "-100"]),
        ({"x": [1e300]}, InvalidColumns, ["'x'"]),
        ({"x": np.zeros(5000)}, OutOfMemory, ["5", "max_entities"]),
    ],
)
def test_entities_that_cannot_be_born(
    engine: DebugEngine, refused: Refused, columns: dict[str, Any], error: type[GroveError], words: list[str]
) -> None:
    with refused(engine, error, MODULE, *words):
        engine.spawn(MODULE, **columns)


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        ([1, 99], UnknownEntity, ["1 of 2", "99"]),
        ([1, 1], DuplicateEntity, ["1", "twice"]),
        ([1.5], InvalidColumns, ["ids"]),
        (None, InvalidColumns, ["ids"]),
    ],
)
def test_ids_that_do_not_fit(
    engine: DebugEngine, refused: Refused, ids: Any, error: type[GroveError], words: list[str]
) -> None:
    calls = [
        lambda: engine.despawn(MODULE, ids),
        lambda: engine.pin(MODULE, ids, 2),
        lambda: engine.unpin(MODULE, ids),
        lambda: engine.locate(MODULE, ids),
    ]
    for call in calls:
        with refused(engine, error, *words):
            call()


# -- the engine itself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (Settings(router=Choice("lottery")), UnknownPart, ["lottery", "modulo, quota"]),
        (Settings(fault_policy=Choice("luck")), UnknownPart, ["luck", "immediate"]),
        (Settings(isolation=Choice("none")), UnknownPart, ["none", "process"]),
        (Settings(holds=("stable", "hands")), UnknownPart, ["hands", "stable"]),
        (Settings(router=Choice("quota", {"load": 2})), PluginFailed, ["quota", "load"]),
    ],
)
def test_settings_that_name_what_is_not_there(settings: Settings, error: type[GroveError], words: list[str]) -> None:
    before = children()
    with pytest.raises(error) as caught:
        MultiVersionEngine(settings).close()
    assert all(word in str(caught.value) for word in words)
    assert children() == before


def children() -> set[str]:
    """Return the processes that this one started."""
    return {pid for each in Path("/proc/self/task").glob("*/children") for pid in each.read_text().split()}


def test_a_closed_engine(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.close()
    engine.close()
    for call in (
        lambda: engine.tick(1.0),
        lambda: engine.load_module_version(MODULE, 1),
        lambda: engine.get_loaded_versions(MODULE),
    ):
        with pytest.raises(EngineClosed, match="closed"):
            call()
