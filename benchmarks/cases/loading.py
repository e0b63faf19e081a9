"""How long until a version is ready."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from benchmarks.figures import Series, Taken, Who, taken
from benchmarks.measuring import clocked, sample
from benchmarks.plan import GAMELOGIC, SPARE_SECONDS, Plan, open_engine
from grove_core import DebugEngine

LOADS = 70


def ready(plan: Plan, entities: int) -> Iterator[Taken]:
    """Load and unload version 2 beside version 1; then a fresh interpreter that imports the same package."""
    with open_engine() as engine:
        engine.load_module_version(GAMELOGIC, 1)
        samples = sample(replace(plan.long_box, most=LOADS), lambda: _load(engine))
    yield from taken(samples, entities)
    if plan.rival_box is not None:
        yield from taken(sample(plan.rival_box, clocked(Series("ready", Who.INTERPRETER), _fresh)), entities)


def _load(engine: DebugEngine) -> Mapping[Series, float]:
    report = engine.load_module_version(GAMELOGIC, 2)
    engine.unload_module_version(GAMELOGIC, 2)
    time.sleep(SPARE_SECONDS)
    return {Series("ready"): report.ready_ms, Series("ready, whole call"): report.ms}


def _fresh() -> None:
    subprocess.run([sys.executable, "-c", "import gamelogic_v2"], check=True)
