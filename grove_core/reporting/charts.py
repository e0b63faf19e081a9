"""Charts: lines as SVG that stretches to the page, and texts over it that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from grove_core.base.compared import plain
from grove_core.reporting.elements import element
from grove_core.reporting.scales import Scale, around, spanning, written
from grove_core.reporting.series import Line
from grove_core.reporting.thinning import thinned

WIDTH: Final = 1000
HEIGHT: Final = 400
"""The drawing's own units; the page stretches it to whatever it has room for."""
PLACES: Final = 6
"""So many colours there are for versions and contests; the last is everything's beyond."""
HOVERED: Final = 60
"""In so many places a chart says its values, where a pointer rests."""
NARROW: Final = 300.0
WIDE: Final = 500.0
"""The widths of a chart, in pixels, for which its marks' numbers and their texts are placed."""
NUMBER: Final = 20.0
LETTER: Final = 6.5
"""Pixels that a mark's number takes, and one letter of its text."""
DENSE: Final = 20
"""A line that rises and falls by more than so many heights is drawn thin."""
UNITS: Final = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
LEAST_UNITS: Final = 5
"""A time is told in the largest unit of which a chart shows so many."""
FEW: Final = 5
"""Of more times than these every second one is left out on a phone."""


@dataclass(frozen=True)
class Mark:
    """A moment at which something was decided."""

    at: float
    number: int
    text: str


@dataclass(frozen=True)
class Chart:
    """What one chart shows."""

    title: str
    note: str
    """What it is of, in a few words."""
    lines: Sequence[Line]
    unit: str = ""
    stepped: bool = False
    """Whether a value holds until the next one."""
    zero: bool = True
    """Whether 0 belongs on it, however far away it is."""


@dataclass(frozen=True)
class Timeline:
    """The times that every chart of a page shows."""

    low: float
    high: float
    zero: float
    """The clock's time that is called 0."""
    marks: Sequence[Mark]

    @property
    def unit(self) -> tuple[float, str]:
        """In what times are told: how many seconds that is, and its sign."""
        return next((each for each in UNITS if self.high - self.low >= LEAST_UNITS * each[0]), UNITS[-1])

    @property
    def scale(self) -> Scale:
        """The range in that unit, from `zero` on."""
        per = self.unit[0]
        return spanning((self.low - self.zero) / per, (self.high - self.zero) / per)

    def place(self, at: float) -> float:
        """Return where a time is drawn: 0 at the left, 1 at the right."""
        return self.scale.place((at - self.zero) / self.unit[0])

    def places(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same for many."""
        return self.scale.places((times - self.zero) / self.unit[0])


def drawn(chart: Chart, timeline: Timeline) -> Element:
    """Return a chart as a figure."""
    known = [value for line in chart.lines for value in line.y[~np.isnan(line.y)]]
    scale = around(known, chart.zero)
    plot = element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none", role="img")
    plot.append(element("title", f"{chart.title}, {chart.note}"))
    for tick in scale.ticks:
        y = _down(scale.place(tick))
        plot.append(element("path", d=f"M0 {y}H{WIDTH}", class_="base" if tick == 0 else "grid"))
    for mark in timeline.marks:
        plot.append(element("path", d=f"M{_across(timeline.place(mark.at))} 0V{HEIGHT}", class_="mark"))
    for line in chart.lines:
        for path, kind in _paths(line, scale, timeline, chart.stepped):
            plot.append(element("path", d=path, class_=f"line {colour(line.place)} {kind}{_dash(line)}"))
    for each in _hovered(chart, timeline):
        plot.append(each)
    return element(
        "figure",
        element("figcaption", element("h3", chart.title), element("p", chart.note), _legend(chart.lines)),
        element(
            "div",
            *(_tick(written(tick, scale.step) + chart.unit, "y", "bottom", scale.place(tick)) for tick in scale.ticks),
            plot,
            *labels(timeline),
            *time_ticks(timeline),
            class_="plot",
        ),
    )


def time_ticks(timeline: Timeline) -> list[Element]:
    """Return the times below a chart, since the rollout began."""
    scale, sign = timeline.scale, timeline.unit[1]
    few = len(scale.ticks) <= FEW
    return [
        _tick(
            f"{written(tick, scale.step)} {sign}",
            "x" if few or count % 2 == 0 else "x spare",
            "left",
            scale.place(tick),
        )
        for count, tick in enumerate(scale.ticks)
    ]


def labels(timeline: Timeline) -> list[Element]:
    """Return the marks' numbers, those that would lie on each other as one, and their texts where there is room."""
    groups: list[list[Mark]] = []
    for mark in timeline.marks:
        if groups and timeline.place(mark.at) - timeline.place(groups[-1][0].at) < NUMBER / NARROW:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    made = []
    for group, after in zip(groups, [*groups[1:], None], strict=True):
        first, last = group[0], group[-1]
        number = str(first.number) if first is last else f"{first.number}–{last.number}"
        left = timeline.place(first.at)
        room = WIDE * ((1.02 if after is None else timeline.place(after[0].at)) - left) - NUMBER
        fits = first is last and LETTER * len(first.text) < room
        made.append(
            element(
                "a",
                element("b", number),
                element("span", first.text) if fits else None,
                href=f"#decision-{first.number}",
                class_="label",
                style=f"left:{100 * left:.2f}%",
                title="; ".join(f"{each.number}: {each.text}" for each in group),
            )
        )
    return made


def colour(place: int | None) -> str:
    """Return the class of what has this colour."""
    return "bound" if place is None else f"c{min(place, PLACES - 1)}"


def _legend(lines: Sequence[Line]) -> Element:
    return element(
        "ul",
        *(element("li", element("i", class_=f"{colour(line.place)}{_dash(line)}"), line.label) for line in lines),
        class_="legend",
    )


def _dash(line: Line) -> str:
    return " dashed" if line.dashed else ""


def _tick(text: str, axis: str, side: str, place: float) -> Element:
    edge = " first" if place < 0.04 else " last" if place > 0.96 else ""
    return element("span", text, class_=f"tick {axis}{edge}", style=f"{side}:{100 * place:.2f}%")


def _paths(line: Line, scale: Scale, timeline: Timeline, stepped: bool) -> list[tuple[str, str]]:
    """Return the paths of a line, each with its kind: parts between gaps are lines, and single points dots."""
    keep = thinned(line.x, line.y)
    across = np.round(WIDTH * timeline.places(line.x[keep]), 1)
    down = np.round(HEIGHT * (1 - scale.places(line.y[keep])), 1)
    strokes, dots = [], []
    for begins, ends in _pieces(np.isnan(down)):
        x, y = _words(across[begins:ends]), _words(down[begins:ends])
        if len(x) == 1:
            dots.append(f"M{x[0]} {y[0]}h0")
        elif stepped:
            strokes.append(f"M{x[0]} {y[0]}" + "".join(f"H{each}V{to}" for each, to in zip(x[1:], y[1:], strict=True)))
        else:
            strokes.append("M" + "L".join(f"{each} {to}" for each, to in zip(x, y, strict=True)))
    rises = float(np.nansum(np.abs(np.diff(down))))
    stroke = "stroke dense" if rises > DENSE * HEIGHT else "stroke"
    return [(path, kind) for path, kind in (("".join(strokes), stroke), ("".join(dots), "dot")) if path]


def _pieces(gap: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return from where to where there are no gaps."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], gap, [True])).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _words(places: NDArray[np.float64]) -> list[str]:
    return [f"{place:g}" for place in places.tolist()]


def _hovered(chart: Chart, timeline: Timeline) -> list[Element]:
    """Return rectangles that lie side by side over a chart and say what it shows there."""
    every = np.unique(np.concatenate([line.x for line in chart.lines])) if chart.lines else np.empty(0)
    if not len(every):
        return []
    times = every[np.unique(np.linspace(0, len(every) - 1, HOVERED).round().astype(np.int64))]
    places = [timeline.place(at) for at in times.tolist()]
    borders = [0.0, *((left + right) / 2 for left, right in pairwise(places)), 1.0]
    made = []
    for at, (left, right) in zip(times.tolist(), pairwise(borders), strict=True):
        here = [(line.label, _at(line, at)) for line in chart.lines]
        values = [f"{label}: {plain(value)}{chart.unit}" for label, value in here if not np.isnan(value)]
        if values:
            told = element("title", "\n".join([f"{at - timeline.zero:,.1f} s", *values]))
            x, width = _across(left), _across(right) - _across(left)
            made.append(element("rect", told, x=x, y=0, width=width, height=HEIGHT, class_="here"))
    return made


def _at(line: Line, at: float) -> float:
    """Return a line's latest value by then; NaN before the first."""
    index = int(np.searchsorted(line.x, at, side="right")) - 1
    return float(line.y[index]) if index >= 0 else float("nan")


def _across(place: float) -> int:
    return round(WIDTH * min(1.0, max(0.0, place)))


def _down(place: float) -> int:
    return round(HEIGHT * (1 - place))
