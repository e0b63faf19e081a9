"""What a tick costs as there are more versions, and more columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.figures import Series, Taken, Who, taken
from benchmarks.measuring import clocked, sample
from benchmarks.packages import STATE, write_versions
from benchmarks.plan import Plan, good_tick, open_engine
from benchmarks.rivals.by_hand import Memcpy

VERSIONS = (1, 3, 10, 30)
COLUMNS = (4, 16, 64)


def versions(plan: Plan, entities: int) -> Iterator[Taken]:
    """The same entities, shared out among ever more versions that do nothing; all columns are mutable."""
    folder = write_versions(plan.folder / "many", "many", range(1, max(VERSIONS) + 1), STATE)
    with open_engine() as engine:
        for count in range(1, max(VERSIONS) + 1):
            engine.load_module_version("many", count, path=folder)
            if count == 1:
                engine.spawn("many", x=np.arange(entities))
            if count in VERSIONS:
                engine.set_traffic_split("many", dict.fromkeys(range(1, count + 1), 1 / count))
                case = Series(f"noop, versions: {count}")
                yield from taken(sample(plan.box, clocked(case, lambda: good_tick(engine))), entities)


def columns(plan: Plan, entities: int) -> Iterator[Taken]:
    """One version that does nothing, with ever more mutable float32 columns; memcpy copies all of them."""
    for count in COLUMNS:
        module, case = f"wide{count}", f"noop, columns: {count}"
        names = {f"c{number}": "f4" for number in range(count)}
        folder = write_versions(plan.folder / module, module, (1,), names)
        with open_engine() as engine:
            engine.load_module_version(module, 1, path=folder)
            engine.spawn(module, c0=np.arange(entities))
            samples = sample(
                plan.box,
                clocked(Series(case), lambda: good_tick(engine)),
                clocked(Series(case, Who.MEMCPY), Memcpy(4 * count * entities)),
            )
        yield from taken(samples, entities)
