"""A run as a picture: who takes how long at which population, and how far from the targets that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.cases.growth import COLUMNS, VERSIONS
from benchmarks.figures import Figure, Outcome, Results, Verdict, Who

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN, RED = "#0b6e4f", "#c0392b"


class Look(NamedTuple):
    """How the line of one of those who are compared looks."""

    name: str
    color: str
    style: str = "-"


LOOKS = {
    Who.OURS: Look("Grove (shaded: up to p99)", GREEN),
    Who.MEMCPY: Look("memcpy", "#888888", ":"),
    Who.NUMPY: Look("numpy by hand", "#1f77b4", "--"),
    Who.OBJECTS: Look("Python, slots", "#e08214", "--"),
    Who.DICTS: Look("Python, dicts", "#fdb863", "--"),
    Who.ERLANG_MAP: Look("Erlang, map", "#a2195b", "-."),
    Who.ERLANG_ETS: Look("Erlang, ETS", "#d884b0", "-."),
}
PANELS = (
    ("tick", "A tick of gamelogic 1"),
    ("noop, all mutable", "A no-op tick of three versions"),
    ("move 20%", "Move 20% to another version"),
    ("migrate, copied", "Migrate all"),
    ("kill", "SIGKILL until the next good tick"),
)


def draw(results: Results, path: Path) -> None:
    """Write the chart as PNG.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(18, 8.5), layout="constrained")
    left, right = picture.subfigures(1, 2, squeeze=False, width_ratios=(3, 1.25))[0]
    axes = left.subplots(2, 3).flatten().tolist()
    for axis, (case, title) in zip(axes, PANELS, strict=False):
        _compare(axis, title, [figure for figure in results.figures if figure.case == case])
    _growth(axes[-1], results)
    _targets(right.subplots(), results)
    named = {look.name for look in LOOKS.values()}
    lines = {line.get_label(): line for axis in axes for line in axis.get_lines() if line.get_label() in named}
    if lines:
        left.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4, frameon=False)
    facts = results.machine
    picture.suptitle(f"Medians. {facts.cpu}, {facts.cores} cores; Python {facts.python}, numpy {facts.numpy}")
    picture.savefig(path, dpi=100)


def _compare(axis: Axes, title: str, figures: Sequence[Figure]) -> None:
    """Draw milliseconds over entities, a line for each of those who are compared."""
    for who, look in LOOKS.items():
        points = sorted((each.entities, each.p50, each.p99) for each in figures if each.who is who)
        if points:
            entities, medians, p99 = zip(*points, strict=True)
            width = 2.6 if who is Who.OURS else 1.4
            axis.plot(entities, medians, look.style, color=look.color, label=look.name, lw=width, marker="o", ms=4)
            if who is Who.OURS:
                axis.fill_between(entities, medians, p99, color=look.color, alpha=0.15, lw=0)
    _scales(axis, title, "entities")


def _growth(axis: Axes, results: Results) -> None:
    """Draw milliseconds over the number of versions, and over that of columns."""
    found = {figure.case: figure for figure in results.figures if figure.who is Who.OURS}
    for what, counts, color in (("versions", VERSIONS, "#6a51a3"), ("columns", COLUMNS, "#2c7fb8")):
        figures = [(count, found[case]) for count in counts if (case := f"noop, {what}: {count}") in found]
        if figures:
            label = f"{what}, {figures[0][1].entities:,} entities"
            points = zip(*((count, figure.p50) for count, figure in figures), strict=True)
            axis.plot(*points, "o-", color=color, label=label, ms=4)
            axis.legend(frameon=False)
    _scales(axis, "A no-op tick as there is more of something", "versions, columns")


def _scales(axis: Axes, title: str, across: str) -> None:
    axis.set(title=title, xlabel=across, ylabel="ms", xscale="log", yscale="log")
    axis.grid(alpha=0.25)


def _targets(axis: Axes, results: Results) -> None:
    """Draw how much of what a target allows was used: a line from the target to what was measured."""
    outcomes = [each for each in results.outcomes if each.measured]
    for row, each in enumerate(outcomes):
        color = GREEN if each.verdict is Verdict.REACHED else RED
        axis.plot((1.0, _used(each)), (row, row), color=color, lw=2)
        axis.plot(_used(each), row, "o", color=color)
        axis.annotate(f"{_used(each):.2g}", (_used(each), row), (0, 5), textcoords="offset points", ha="center", size=8)
    axis.axvline(1.0, color="#222222", lw=1)
    axis.set_yticks(range(len(outcomes)), [each.title for each in outcomes], size=8)
    axis.set(title="Targets", xlabel="measured / allowed", xscale="log")
    axis.xaxis.set_minor_formatter("")  # a narrow range would have them overlap
    axis.margins(x=0.15, y=0.05)
    axis.invert_yaxis()
    axis.grid(alpha=0.25, axis="x")


def _used(outcome: Outcome) -> float:
    """Return what was measured as a multiple of what is allowed; the inverse where more is better."""
    assert outcome.measured
    return outcome.limit / outcome.measured if outcome.unit.more_is_better else outcome.measured / outcome.limit
