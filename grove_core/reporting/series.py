"""Lines over time: what charts show of a rollout, made of samples and of what was decided."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from grove_core.base.comparison import Verdict
from grove_core.base.events import EventKind
from grove_core.base.rollouts import RolloutState
from grove_core.reporting.history import Story
from grove_core.reporting.recorded import Decision, Mean, Moment, Reading, Said, Split

NAN: Final = float("nan")
LARGEST: Final = 1e100
"""What is further from 0 is not drawn."""
WENT_BACK: Final = frozenset({RolloutState.FAILED, RolloutState.ABORTED, RolloutState.UNDONE})
LEAST_ROOM: Final = 5.0
"""So many seconds at least are shown before a rollout and after it."""


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    label: str
    x: NDArray[np.float64]
    """The clock's seconds, ascending."""
    y: NDArray[np.float64]
    """NaN where there is nothing."""
    place: int | None = None
    """Which of the colours it has: 0 is stable's, 1 the canary's; None for what is a bound."""
    dashed: bool = False


@dataclass(frozen=True)
class Window:
    """The part of a run that is shown."""

    low: float
    high: float
    moments: Sequence[Moment]
    """The samples within it."""
    first: int
    """How many samples came before them."""
    versions: tuple[str, ...]
    """Stable, the canary, and whatever else had entities meanwhile."""


def window(story: Story) -> Window:
    """Return what is shown with a rollout: all of it, a little of before and after."""
    moments, begins, ends = story.run.moments, story.first.at, story.ends
    room = max(LEAST_ROOM, (ends - begins) / 10)
    places = [place for place, each in enumerate(moments) if begins - room <= each.at <= ends + room]
    first, after = (places[0], places[-1] + 1) if places else (0, 0)
    shown = moments[first:after]
    low, high = (min(begins, shown[0].at), max(ends, shown[-1].at)) if shown else (begins, ends)
    own = dict.fromkeys((story.first.told.stable, story.first.canary))
    others = sorted({name for each in shown for name, reading in each.versions.items() if reading.entities} - set(own))
    return Window(low, high, shown, first, (*own, *others))


def of_versions(seen: Window, label: str, read: Callable[[Reading], float | None], dashed: bool = False) -> list[Line]:
    """Return a line for each version that has any value; `label` is a format with the version for {}."""
    x = np.array([each.at for each in seen.moments])
    lines = []
    for place, version in enumerate(seen.versions):
        readings = (each.versions.get(version) for each in seen.moments)
        y = np.array([NAN if reading is None else _finite(read(reading)) for reading in readings])
        if not np.isnan(y).all():
            lines.append(Line(label.format(version), x, y, place, dashed))
    return lines


def of_weights(story: Story, seen: Window) -> list[Line]:
    """Return the weight of each version in percent, as steps."""
    return _steps(
        story,
        seen,
        lambda reading: reading.traffic_percent_set,
        lambda split: {name: 100 * weight for name, weight in split.weights.items()},
    )


def of_entities(story: Story, seen: Window) -> list[Line]:
    """Return how many entities each version had, as steps."""
    return _steps(story, seen, lambda reading: reading.entities, lambda split: split.entities)


def _steps(
    story: Story,
    seen: Window,
    read: Callable[[Reading], float],
    shares: Callable[[Split], Mapping[str, float]],
) -> list[Line]:
    """Return what each version had: samples come once in a while, and what was decided meanwhile is between them."""
    points: list[tuple[float, float, Mapping[str, float] | Decision]] = [
        (place, each.at, {name: read(reading) for name, reading in each.versions.items()})
        for place, each in enumerate(seen.moments, seen.first)
    ]
    points += [
        (each.moments - 0.5, each.at, {**dict.fromkeys(seen.versions, 0.0), **shares(each)})
        for each in story.run.splits
        if seen.low <= each.at <= seen.high
    ]
    points += [(each.moments - 0.5, each.at, each) for each in story.decisions if each.told.state in WENT_BACK]
    points.sort(key=lambda point: point[:2])  # as they stand in the file
    x = np.array([at for _, at, _ in points])
    y = np.full((len(seen.versions), len(points)), NAN)
    had: Mapping[str, float] = {}
    for index, (_, _, found) in enumerate(points):
        had = _sent_back(had, found) if isinstance(found, Decision) else found
        y[:, index] = [had.get(version, NAN) for version in seen.versions]
    return [
        Line(version, x, y[place], place) for place, version in enumerate(seen.versions) if not np.isnan(y[place]).all()
    ]


def _sent_back(had: Mapping[str, float], decision: Decision) -> Mapping[str, float]:
    """Return what each version has once all of the canary's is stable's: no event says more of it."""
    canary, stable = decision.canary, decision.told.stable
    if canary not in had or stable not in had:
        return had
    return {**had, canary: 0.0, stable: had[stable] + had[canary]}


def of_errors(seen: Window) -> list[Line]:
    """Return the part of its calls that failed, in percent, from each sample to the next."""
    return _between(seen, "{}", _failed)


def of_observed(seen: Window, name: str) -> list[Line]:
    """Return the mean of what was observed by a name, from each sample to the next."""

    def mean(before: Reading | None, after: Reading) -> float:
        nothing = Mean(0, 0.0)
        late, early = after.observed.get(name, nothing), nothing
        if before is not None:
            early = before.observed.get(name, nothing)
        count = late.count - early.count
        return (late.count * late.mean - early.count * early.mean) / count if count > 0 else NAN

    return _between(seen, "{}", mean)


def observed_names(seen: Window) -> list[str]:
    """Return the names of what was observed."""
    return sorted({name for each in seen.moments for reading in each.versions.values() for name in reading.observed})


def reloaded(before: Reading, after: Reading) -> bool:
    """Tell whether a version was loaded anew between two samples: it counts from 0 then."""
    return after.ticks < before.ticks or after.uptime_seconds < before.uptime_seconds


@dataclass(frozen=True)
class Figures:
    """What one judge said over time."""

    judge: str
    x: NDArray[np.float64]
    verdicts: tuple[str, ...]
    """As many as x, ascending."""
    figures: tuple[dict[str, float], ...]

    def names(self) -> list[str]:
        """Return the names of all figures, in the order in which they came."""
        return list(dict.fromkeys(name for each in self.figures for name in each))

    def line(self, name: str, label: str, place: int | None, dashed: bool = False) -> Line:
        """Return one figure over time."""
        y = np.array([_finite(each.get(name)) for each in self.figures])
        return Line(label, self.x, y, place, dashed)


def of_judges(story: Story, seen: Window) -> Iterator[Figures]:
    """Yield what each judge said: in samples, and where something was decided."""
    points: list[tuple[float, float, Mapping[str, Said]]] = [
        (place, each.at, each.judgements)
        for place, each in enumerate(seen.moments, seen.first)
        if story.first.at <= each.at <= story.ends
    ]
    # An undo is somebody's, and tells once more what had been said before the promotion.
    decisions = [each for each in story.decisions if each.kind is not EventKind.ROLLOUT_UNDONE]
    points += [(each.moments - 0.5, each.at, each.said) for each in decisions if each.told.evidence]
    points.sort(key=lambda point: point[:2])
    for judge in dict.fromkeys(name for _, _, said in points for name in said):
        own = [(at, said[judge]) for _, at, said in points if judge in said]
        verdicts = tuple(each.verdict if each.verdict in list(Verdict) else "?" for _, each in own)
        yield Figures(judge, np.array([at for at, _ in own]), verdicts, tuple(each.figures for _, each in own))


def _between(seen: Window, label: str, read: Callable[[Reading | None, Reading], float]) -> list[Line]:
    x = np.array([each.at for each in seen.moments])
    lines = []
    for place, version in enumerate(seen.versions):
        y = np.full(len(x), NAN)
        before: Reading | None = None
        for index, each in enumerate(seen.moments):
            after = each.versions.get(version)
            if after is not None and (index or after.uptime_seconds <= each.at - seen.low):
                y[index] = _finite(read(None if before is None or reloaded(before, after) else before, after))
            before = after
        if not np.isnan(y).all():
            lines.append(Line(label.format(version), x, y, place))
    return lines


def _failed(before: Reading | None, after: Reading) -> float:
    calls, failed = _calls(after)
    if before is not None:
        calls, failed = calls - _calls(before)[0], failed - _calls(before)[1]
    return 100 * failed / calls if calls > 0 else NAN


def _calls(reading: Reading) -> tuple[int, int]:
    """Return calls and failed ones; what comes near them where the file has no such totals."""
    if reading.calls is None:
        return reading.processed_entities + reading.errors, reading.errors
    return reading.calls, reading.failed_calls


def _finite(value: float | None) -> float:
    return NAN if value is None or math.isnan(value) or abs(value) > LARGEST else float(value)
