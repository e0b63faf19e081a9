"""The outcomes as a picture: who fails a healthy canary how often, and when bad ones are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.judges.outcomes import Outcome
from benchmarks.judges.rules import ALPHA, RULES
from benchmarks.judges.scenes import HERTZ, TICKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0b6e4f", "#5fb49c", "#c0392b", "#1f77b4", "#e08214", "#a2195b", "#6a51a3")
"""One a rule."""
SHADES = {0.001: "#888888", 0.02: "#1f77b4", 0.05: "#e08214", 0.1: "#0b6e4f"}
"""One an error rate of a bad canary."""


def draw(found: Sequence[Outcome], path: Path, runs: int) -> None:
    """Write the chart as PNG.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(17, 6), layout="constrained")
    left, middle, right = picture.subplots(1, 3, width_ratios=(1.1, 1, 1))
    thousand = [each for each in found if each.scene.entities == 1000]
    _false_alarms(left, [each for each in thousand if each.scene.healthy and each.scene.stable > 0.001])
    own = [each for each in thousand if each.scene.own and each.scene.canary == each.scene.stable == 0.01]
    for each, color in zip(own, COLORS, strict=True):
        _curve(middle, each, color, "-", each.rule)
    middle.axhline(100 * ALPHA, color="#222222", lw=1, ls=":")
    _scales(middle, "Healthy canaries failed so far: 1% beside 1%,\nentities with error rates of their own")
    middle.legend(frameon=False, fontsize=8, loc="upper left")
    for each in thousand:
        if each.rule == RULES[1].name and not each.scene.healthy:
            name, style = (each.scene.name, "-") if not each.scene.own else (None, "--")
            _curve(right, each, SHADES[each.scene.canary], style, name)
    _scales(right, f"Bad canaries found so far (dashed: own rates)\nby {RULES[1].name}")
    right.legend(frameon=False, fontsize=9, loc="lower right")
    picture.suptitle(f"1,000 entities, 100 of them the canary's, each called 60 times a second; {runs:,} runs each")
    picture.savefig(path, dpi=90)


def _false_alarms(axis: Axes, healthy: Sequence[Outcome]) -> None:
    """Draw a group of bars for each rule: entities alike and not, at two error rates."""
    scenes = list(dict.fromkeys(each.scene for each in healthy))
    shares = {(each.rule, each.scene): each.failed for each in healthy}
    for number, scene in enumerate(scenes):
        label = f"{100 * scene.stable:g}% errors{', rates of their own' if scene.own else ', one rate'}"
        rows = np.arange(len(RULES)) + (number - 1.5) * 0.2
        color, hatch = ("#4c78a8", "#9ecae9")[scene.stable > 0.015], "//" if scene.own else ""
        values = [100 * shares[rule.name, scene] for rule in RULES]
        axis.barh(rows, values, 0.18, color=color, hatch=hatch, edgecolor="white", lw=0, label=label)
        for row, value in zip(rows, values, strict=True):
            axis.text(max(value, 100 * ALPHA) + 1, row, f"{value:.3g}", va="center", size=7)
    axis.axvline(100 * ALPHA, color="#222222", lw=1, ls=":")
    axis.set_yticks(range(len(RULES)), [rule.name for rule in RULES], size=9)
    axis.set(title="Healthy canaries failed within 30 s (dotted: 5%)", xlabel="% of runs", xlim=(0, 108))
    axis.invert_yaxis()
    axis.legend(frameon=False, fontsize=8, loc="upper right")


def _curve(axis: Axes, each: Outcome, color: str, style: str, label: str | None) -> None:
    """Draw which part of the runs has failed by when."""
    ticks = np.arange(1, TICKS + 1) / HERTZ
    failed = 100 * (each.seconds[:, None] <= ticks).mean(axis=0)
    axis.plot(ticks, failed, style, color=color, lw=1.8, label=label)


def _scales(axis: Axes, title: str) -> None:
    axis.set(title=title, xlabel="seconds", ylabel="% of runs", xscale="log", ylim=(-2, 102))
    axis.set_xticks([1 / 60, 0.1, 1, 10, 30], ["1 tick", "0.1", "1", "10", "30"])
    axis.grid(alpha=0.25)
