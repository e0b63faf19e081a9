"""SIGKILL workers at random instants, and look at every entity after each: `python -m benchmarks.kills`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import signal
import threading
import time

import numpy as np
import structlog

from grove_core import DebugEngine

MODULE = "gamelogic"
STEP = np.float32(1 / 64)
LATEST_SECONDS = 0.02
"""A kill comes within so many seconds after it is asked for: in ticks, between them, in splits and in loads."""


def main() -> None:
    """Run it, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--entities", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    ms = np.array(run(asked.kills, asked.entities, random.Random(asked.seed)))  # noqa: S311
    p50, p99 = np.quantile(ms, [0.5, 0.99])
    print(  # noqa: T201
        f"{len(ms)} kills, {asked.entities} entities, after each kill all there once with the values they must have;\n"
        f"kill to the next good tick, in ms: p50 {p50:.1f}, p99 {p99:.1f}, worst {ms.max():.1f}"
    )


def run(kills: int, entities: int, chance: random.Random) -> list[float]:
    """Kill so many workers; return for each the ms until the end of the next tick that was good.

    Raises:
        AssertionError: an entity is missing, is there twice, or has not the value it must have.
    """
    took: list[float] = []
    with DebugEngine() as engine:
        engine.load_module_version(MODULE, 1)
        x = np.arange(entities, dtype=np.float32)
        engine.spawn(MODULE, id=np.arange(entities), x=x, y=0.0, vx=1.0, vy=0.0)
        while len(took) < kills:
            struck: list[float] = []
            share(engine)
            pid = chance.choice(list(engine.workers(MODULE).values()))
            killer = threading.Thread(target=kill, args=(pid, chance.uniform(0, LATEST_SECONDS), struck))
            killer.start()
            while killer.is_alive():
                engine.tick(float(STEP))
                x += STEP
            killer.join()
            report = engine.tick(float(STEP))
            x += STEP
            assert report.skipped == 0, report
            took.append((time.perf_counter() - struck[0]) * 1000)
            shown = engine.entities(MODULE)
            order = np.argsort(shown["id"])
            assert np.array_equal(shown["id"][order], np.arange(entities)), "an entity is missing, or there twice"
            assert np.array_equal(shown["x"][order], x), "an entity has not the value it must have"
    return took


def share(engine: DebugEngine) -> None:
    """Have both versions loaded, and share the entities out, as somebody would who operates it."""
    for major in (1, 2):
        if not engine.is_version_loaded(MODULE, major):
            engine.load_module_version(MODULE, major)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})


def kill(pid: int, after: float, struck: list[float]) -> None:
    """Kill a worker after so many seconds, and note when."""
    time.sleep(after)
    struck.append(time.perf_counter())
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
