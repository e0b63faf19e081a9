"""What was measured: figures of a run, with the facts that they depend on; read from and written to JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

PARTS = 6
"""Into how many consecutive parts the samples of a figure are cut to see how steady it was."""


class Who(StrEnum):
    """Whose figure it is."""

    OURS = "ours"
    MEMCPY = "memcpy"
    NUMPY = "numpy"
    OBJECTS = "objects"
    DICTS = "dicts"
    INTERPRETER = "interpreter"
    ERLANG_MAP = "erlang map"
    ERLANG_ETS = "erlang ets"


class Unit(StrEnum):
    """What a figure is counted in."""

    MS = "ms"
    NS_PER_ENTITY = "ns/entity"
    TIMES_MEMCPY = "x memcpy"
    PERCENT = "%"

    @property
    def more_is_better(self) -> bool:
        """Whether a higher figure is a better one."""
        return self is Unit.PERCENT


class Series(NamedTuple):
    """What one series of samples shows."""

    case: str
    who: Who = Who.OURS


class Taken(NamedTuple):
    """The samples of one series from one visit."""

    series: Series
    entities: int
    """0 where their number does not matter."""
    unit: Unit
    samples: Samples
    """One a run, in the order in which they were taken; at least one."""


class Figure(msgspec.Struct, frozen=True):
    """The distribution of one series over a run."""

    case: str
    who: Who
    entities: int
    unit: Unit
    runs: int
    p50: float
    p95: float
    p99: float
    lowest: float
    steady_low: float
    steady_high: float
    """How far the median itself wandered: the lowest and the highest one of the parts; no part is of two visits."""

    @classmethod
    def of(cls, visits: Sequence[Taken]) -> Self:
        """Sum up the same series, from one visit or several."""
        series, entities, unit, _ = visits[0]
        samples = np.concatenate([visit.samples for visit in visits])
        p50, p95, p99 = (float(each) for each in np.percentile(samples, (50, 95, 99)))
        each = max(1, PARTS // len(visits))
        parts = [part for visit in visits for part in np.array_split(visit.samples, min(each, len(visit.samples)))]
        medians = [float(np.median(part)) for part in parts]
        return cls(
            series.case,
            series.who,
            entities,
            unit,
            len(samples),
            p50,
            p95,
            p99,
            float(samples.min()),
            min(medians),
            max(medians),
        )

    @property
    def key(self) -> tuple[str, Who, int]:
        """What it is the figure of: the same in every run."""
        return self.case, self.who, self.entities


class Verdict(StrEnum):
    """Whether a target was reached."""

    REACHED = "reached"
    NOT_REACHED = "not reached"
    NOT_MEASURED = "not measured"


class Outcome(msgspec.Struct, frozen=True):
    """A target, and what came of it."""

    title: str
    limit: float
    measured: float | None
    unit: Unit
    runs: int
    verdict: Verdict


class Machine(msgspec.Struct, frozen=True):
    """What a run's figures depend on; nothing that says whose machine it was."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    numpy: str
    grove: str
    erlang: str | None
    numba: str | None


class Results(msgspec.Struct, frozen=True):
    """One run."""

    machine: Machine
    box_seconds: float
    figures: tuple[Figure, ...]
    outcomes: tuple[Outcome, ...]
    absent: tuple[str, ...]
    """What was not measured, and why."""
    format: int = 1

    def write(self, path: Path) -> None:
        """Write the run as indented JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a run.

        Raises:
            OSError, msgspec.ValidationError, msgspec.DecodeError: it is not there, or no run of this format.
        """
        read = msgspec.json.decode(path.read_bytes(), type=cls)
        if read.format != 1:
            raise msgspec.ValidationError(f"it is of format {read.format}; this reads format 1")
        return read

    def by_key(self) -> dict[tuple[str, Who, int], Figure]:
        """Return the figures by what they are figures of."""
        return {figure.key: figure for figure in self.figures}


def taken(samples: Mapping[Series, Samples], entities: int, unit: Unit = Unit.MS) -> Iterator[Taken]:
    """Say what samples are samples of."""
    return (Taken(series, entities, unit, values) for series, values in samples.items())


def summed_up(visits: Iterable[Taken]) -> tuple[Figure, ...]:
    """Sum up every series, in the order in which they came first."""
    by_key: dict[tuple[Series, int], list[Taken]] = {}
    for visit in visits:
        by_key.setdefault((visit.series, visit.entities), []).append(visit)
    return tuple(Figure.of(same) for same in by_key.values())
