"""A/B: what versions did side by side, and how sure that is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from grove_core.base.compared import Metric, VersionsCompared

from .conftest import OpenEngine
from .rolling import GOOD, ONE, TWO, populate, run
from .sources import MODULE, SCHEMA_1, version
from .test_rollouts import opened

FAILING = version("e.n += 1\ne.fail(e.id[e.id % 10 == 0], 'on purpose')", schema=SCHEMA_1)


def metric(compared: VersionsCompared, name: str) -> Metric:
    return next(each for each in compared.metrics if each.name == name)


def test_versions_side_by_side(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, {"1.0.0": GOOD, "2.0.0": FAILING})
    populate(engine)
    run(engine, clock, 5)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    run(engine, clock, 10)
    ids = np.arange(1000)
    revenue = np.array([2.0 if each == ONE else 5.0 for each in engine.locate(MODULE, ids)]) + ids % 2
    assert engine.observe(MODULE, "revenue", revenue, ids) == 1000
    compared = engine.compare_versions(MODULE)
    assert (compared.stable, compared.versions, compared.weights) == (ONE, (ONE, TWO), {ONE: 0.5, TWO: 0.5})
    assert compared.seconds == pytest.approx(10.0, abs=0.15)
    assert metric(compared, "ticks").figures[TWO].value == 100
    entities = metric(compared, "entities").figures
    assert (entities[ONE].value, entities[TWO].value) == (500, 500)
    errors = metric(compared, "error_rate").figures
    failing = float(
        np.mean([each % 10 == 0 for each, v in zip(ids, engine.locate(MODULE, ids), strict=True) if v == TWO])
    )
    assert (errors[ONE].value, errors[TWO].value) == (0.0, pytest.approx(failing, rel=0.02))
    assert errors[TWO].low is not None and errors[TWO].high is not None
    assert errors[TWO].low < failing < errors[TWO].high
    assert errors[TWO].ratio is None, "there is no ratio to nothing"
    told = metric(compared, "revenue").figures
    assert (told[ONE].value, told[TWO].value) == (pytest.approx(2.5, abs=0.1), pytest.approx(5.5, abs=0.1))
    ratio = told[TWO]
    assert ratio.ratio is not None and ratio.ratio_low is not None and ratio.ratio_high is not None
    assert 1.5 < ratio.ratio_low < ratio.ratio < ratio.ratio_high < 3
    assert metric(compared, "p50_ms").figures[TWO].value is not None
    memory = metric(compared, "memory_mb").figures[ONE].value
    assert memory is not None and memory > 1


def test_a_new_split_begins_a_new_period(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, {"1.0.0": GOOD, "2.0.0": GOOD})
    populate(engine)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    run(engine, clock, 10)
    engine.set_traffic_split(MODULE, {1: 0.4, 2: 0.6})
    compared = engine.compare_versions(MODULE)
    assert compared.seconds == 0
    assert metric(compared, "ticks").figures[ONE].value == 0
    assert metric(compared, "error_rate").figures[ONE].value is None
    assert metric(compared, "p99_ms").figures[TWO].ratio is None
    run(engine, clock, 1)
    assert metric(engine.compare_versions(MODULE), "ticks").figures[TWO].value == 10


def test_it_is_a_table_and_json(open_engine: OpenEngine) -> None:
    engine, clock = opened(open_engine, {"1.0.0": GOOD, "2.0.0": GOOD})
    populate(engine)
    engine.rollouts.start(MODULE, 2)
    run(engine, clock, 3)
    compared = engine.compare_versions(MODULE)
    lines = str(compared).splitlines()
    assert lines[0].startswith("counter, over 2.9 s")
    assert "1.0.0 (stable) 90%" in lines[1] and "2.0.0 10%" in lines[1]
    assert any(line.startswith("evidence: pass: ") for line in lines)
    document = json.loads(json.dumps(compared.document(), allow_nan=False))
    assert document["metrics"]["entities"]["versions"] == {
        "1.0.0": {"value": 900, "low": None, "high": None, "ratio": None, "ratio_low": None, "ratio_high": None},
        "2.0.0": {"value": 100, "low": None, "high": None, "ratio": None, "ratio_low": None, "ratio_high": None},
    }
    assert document["judgements"]["evidence"]["verdict"] == "pass"
