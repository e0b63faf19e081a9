"""What a run of `error-recovery` comes to: a table of what each fault was seen as, and the verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section
from grove_core.scenario.common.text import mark
from grove_core.scenario.reliability.error_cases import IMPOSSIBLE, possible
from grove_core.wire.faults import InjectedKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grove_core.scenario.reliability.error_recovery import CaseSeen, ErrorsSeen

SHORTER = {"DeadlineExceeded": "deadline", "LoadFailed": "failed", "PeerDied": "died", "ProtocolError": "protocol"}
"""Errors of a load, as the table has them, so that a line fits 80 columns."""


class Metric(StrEnum):
    """The metrics."""

    CASES = "cases"
    UNTOUCHED_PERCENT = "untouched_percent"
    SEEN_PERCENT = "seen_percent"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    EVERY_CASE_PLAYED = "every_case_played"
    EVERYTHING_ELSE_UNTOUCHED = "everything_else_untouched"
    SEEN_FOR_WHAT_IT_IS = "seen_for_what_it_is"
    BROKEN_PACKAGES_REFUSED = "broken_packages_refused"
    NOTHING_LEFT = "nothing_left"


GAUGES: dict[Metric, Gauge] = {
    Metric.CASES: Gauge("Cases", "{:d}", Threshold(above=0)),
    Metric.UNTOUCHED_PERCENT: Gauge("Cases that touched nothing else", "{:g}%", Threshold(target=100.0)),
    Metric.SEEN_PERCENT: Gauge("Faults and packages seen for what they are", "{:g}%", Threshold(target=100.0)),
    Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
}


def outcome(seen: ErrorsSeen, planned: int) -> Outcome:
    """Compute metrics and assertions from what was seen, of so many cases that there ought to be."""
    cases = [*seen.faults, *seen.broken]
    metrics: dict[Metric, float | None] = {
        Metric.CASES: len(cases),
        Metric.UNTOUCHED_PERCENT: _percent(not case.wrong for case in cases),
        Metric.SEEN_PERCENT: _percent(case.as_it_is for case in cases),
        Metric.LEFT_OVER: len(seen.left),
    }
    alive = seen.error is None
    return Outcome(
        title="Error recovery: each fault at each point, and packages that are broken",
        facts={
            "scenario": "error-recovery",
            "kinds": list(seen.kinds),
            "points": list(seen.points),
        },
        about=(
            "One version of a module does it; its other version has the other half of the entities,",
            "and three versions of gamelogic run beside. None of them may be touched.",
        ),
        gauges=GAUGES,
        metrics=metrics,
        assertions={
            Assertion.ENGINE_ALIVE: alive,
            Assertion.EVERY_CASE_PLAYED: len(cases) == planned,
            Assertion.EVERYTHING_ELSE_UNTOUCHED: GAUGES[Metric.UNTOUCHED_PERCENT].threshold.holds(
                metrics[Metric.UNTOUCHED_PERCENT]
            ),
            Assertion.SEEN_FOR_WHAT_IT_IS: all(case.as_it_is for case in seen.faults),
            Assertion.BROKEN_PACKAGES_REFUSED: all(case.as_it_is for case in seen.broken),
            Assertion.NOTHING_LEFT: not seen.left and alive,
        },
        notes={
            Assertion.EVERYTHING_ELSE_UNTOUCHED: [
                f"{case.name}: {sentence}" for case in cases for sentence in case.wrong
            ],
            Assertion.SEEN_FOR_WHAT_IT_IS: [
                f"{case.name} was seen as {case.seen_as}" for case in seen.faults if not case.as_it_is
            ],
            Assertion.BROKEN_PACKAGES_REFUSED: [
                f"{case.name}: {case.seen_as}" for case in seen.broken if not case.as_it_is
            ],
            Assertion.NOTHING_LEFT: seen.left,
        },
        sections=(
            Section("What each fault was seen as, by the point at which it struck", tuple(_table(seen))),
            Section("Packages that are broken on disk", tuple(_packages(seen))),
        ),
        details={"faults": [_document(case) for case in seen.faults], "broken": [_document(c) for c in seen.broken]},
        error=seen.error,
    )


def _percent(held: Iterable[bool]) -> float | None:
    each = list(held)
    return 100 * sum(each) / len(each) if each else None


def _table(seen: ErrorsSeen) -> Iterator[str]:
    yield f"{'':<11}" + "".join(f"{point.value:<12}" for point in seen.points)
    for kind in seen.kinds:
        found = {case.point: case for case in seen.faults if case.kind is kind}
        cells = []
        for point in seen.points:
            case = found.get(point)
            told = "not played" if case is None else SHORTER.get(case.seen_as, case.seen_as)
            good = case is None or (case.as_it_is and not case.wrong)
            cells.append(f"{IMPOSSIBLE if not possible(kind, point) else told + ' ✗' * (not good):<12}")
        yield f"{kind.value:<11}" + "".join(cells).rstrip()
    yield from (
        "",
        f"{IMPOSSIBLE}: needs rows, and is possible in ticks only. At import, initialize and warm_up: the",
        "error of the load, which failed as a whole; at patch that of the patch, and the code",
        "before goes on. unload: it is unloaded whatever it does.",
        "Without limits set, memory, flood and fork are no fault. In a move of entities it is",
        "enough to end who does not let go in time.",
    )
    if InjectedKind.WRONG in seen.kinds:
        yield "wrong: values that keep every rule. Nothing sees them without a validator: they pass."


def _packages(seen: ErrorsSeen) -> Iterator[str]:
    for case in seen.broken:
        good = case.as_it_is and not case.wrong
        yield f"{mark(good)} {case.name:<32}{case.seen_as:<20}{case.ms:>9.1f}ms"


def _document(case: CaseSeen) -> dict[str, object]:
    return {
        "name": case.name,
        "seen_as": case.seen_as,
        "as_it_is": case.as_it_is,
        "wrong": list(case.wrong),
        "ms": case.ms,
    }
