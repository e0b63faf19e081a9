"""The rules of a scenario's text. A check mark stands only where a check held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.scenario.common.judged import Judged, Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = "=" * 80


def mark(held: bool) -> str:
    """Return a check mark, or a cross."""
    return "✓" if held else "✗"


def heading(title: str) -> Iterator[str]:
    """Yield the lines of a part's title."""
    yield from ("", RULE, title, RULE)


def metric_line(name: str, form: str, value: float | None, threshold: Threshold) -> str:
    """Write a metric with what it is held against.

    Args:
        name: how it is called.
        form: how its value is written, with its unit behind the braces.
        value: None if it was not measured.
        threshold: what it is held against.
    """
    text = "not measured" if value is None else form.format(value)
    return f"{name}: {text} ({_limit(threshold, form)}) {_sign(threshold, value)}"


def result_lines(judged: Judged) -> Iterator[str]:
    """Yield the last lines of a text: what the run came to."""
    sign = "✅" if judged.passed else "❌"
    yield from ("", f"Result: {sign} {judged.verdict}", RULE)


def _sign(threshold: Threshold, value: float | None) -> str:
    """Mark what a threshold says; one that cannot decide warns where it is not met."""
    held = threshold.holds(value)
    return mark(held) if held or threshold.binding else "⚠"


def _limit(threshold: Threshold, form: str) -> str:
    if not threshold.binding:
        return f"reported; budget: {_bounds(threshold, form)}"
    if threshold.target is not None:
        within = f" ±{threshold.within:.3g}" if threshold.within else ""
        return f"target: {_plain(threshold.target, form)}{within}"
    return f"threshold: {_bounds(threshold, form)}"


def _bounds(threshold: Threshold, form: str) -> str:
    if threshold.below is not None:
        return f"< {_plain(threshold.below, form)}"
    if threshold.above is not None:
        return f"> {_plain(threshold.above, form)}"
    return _plain(threshold.target or 0.0, form)


def _plain(value: float, form: str) -> str:
    """Write a threshold in the unit of its metric, without the digits that a measured value has."""
    unit = form[form.index("}") + 1 :]
    return f"{value:.10g}{unit}"
