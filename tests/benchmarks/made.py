"""Runs that were never measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.figures import Figure, Machine, Results, Series, Taken, Unit, Who
from benchmarks.targets import outcomes

MACHINE = Machine("a processor", 2, 8.0, "Linux", "3.11.7", "2.4.6", "0.1.0", "25", None)


def figure(
    samples: Sequence[float], case: str = "tick", who: Who = Who.OURS, entities: int = 100, unit: Unit = Unit.MS
) -> Figure:
    return Figure.of([Taken(Series(case, who), entities, unit, np.array(samples, np.float64))])


def results(*figures: Figure, machine: Machine = MACHINE, absent: tuple[str, ...] = ()) -> Results:
    return Results(machine, 1.0, figures, outcomes(figures), absent)
