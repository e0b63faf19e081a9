"""One run of the cases."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import structlog

from benchmarks.catalogue import CASES, Case
from benchmarks.figures import Results, Taken, Verdict, summed_up
from benchmarks.machine import machine
from benchmarks.measuring import Box
from benchmarks.plan import GAMELOGIC, Plan
from benchmarks.rivals.erlang import Erlang
from benchmarks.targets import outcomes
from grove_core.parts.discovery import records_in

SIZES = (100, 10_000, 100_000, 1_000_000)
QUICK_SIZES = (100, 100_000)


@dataclass(frozen=True)
class Scale:
    """How thorough a run is: what one visit gets, and how many there are."""

    box: Box
    rival_box: Box
    frames: int
    visits: int


FULL = Scale(Box(0.35, least=7), Box(0.4, least=2), 60, 3)
QUICK = Scale(Box(0.1), Box(0.05), 30, 2)


class NotReady(Exception):
    """The benchmarks cannot run here; the message says what to do."""


def run(sizes: Sequence[int], only: Sequence[str], *, quick: bool) -> Results:
    """Run the cases whose names are given, or all of them.

    Raises:
        NotReady: a version of gamelogic is missing.
    """
    _require_gamelogic()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    erlang = Erlang.find()
    scale = QUICK if quick else FULL
    cases = [case for case in CASES if not only or case.name in only]
    with tempfile.TemporaryDirectory() as folder:
        plans = [
            Plan(
                tuple(sorted(set(sizes))),
                scale.box,
                scale.rival_box if visit == 0 else None,
                scale.frames,
                Path(folder, str(visit)),
                erlang,
            )
            for visit in range(scale.visits)
        ]
        figures = summed_up(each for plan in plans for case in cases for each in _measure(case, plan))
    return Results(
        machine(None if erlang is None else erlang.release),
        scale.box.seconds * scale.visits,
        figures,
        tuple(each for each in outcomes(figures) if not only or each.verdict is not Verdict.NOT_MEASURED),
        tuple(_absent(erlang)),
    )


def _measure(case: Case, plan: Plan) -> Iterator[Taken]:
    for entities in case.sizes(plan):
        sys.stderr.write(f"{case.name} {entities or ''}".rstrip() + " ... ")
        sys.stderr.flush()
        began = time.perf_counter()
        yield from case.measure(plan, entities)
        sys.stderr.write(f"{time.perf_counter() - began:.1f} s\n")


def _absent(erlang: Erlang | None) -> Iterator[str]:
    if erlang is None:
        yield "Erlang, since `escript` is not on PATH (Debian has it in erlang-base)"
    if find_spec("numba") is None:
        yield "numba, since it is not installed (pip install './plugins/gamelogic_v3[numba]')"


def _require_gamelogic() -> None:
    there = {record.version.major for record in records_in(None) if record.module == GAMELOGIC and record.version}
    if missing := sorted({1, 2, 3} - there):
        folders = " ".join(f"./plugins/gamelogic_v{major}" for major in missing)
        raise NotReady(f"gamelogic {', '.join(map(str, missing))} is not installed: pip install {folders}")
