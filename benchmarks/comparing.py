"""Two runs beside each other: what changed by more than the noise."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.figures import Figure, Results, Unit, Who
from benchmarks.tables import Table, head_count, shown

FLOOR = 0.15
"""How far apart two runs must be: those of the same code may be as far, now and then."""
PERCENT_FLOOR = 0.03
"""The same for percentages, which are ratios within one run."""


class Change(StrEnum):
    """What became of a figure."""

    BETTER = "better"
    WORSE = "worse"
    NONE = ""
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True)
class Compared:
    """One figure in two runs; None where a run does not have it."""

    old: Figure | None
    new: Figure | None

    @property
    def figure(self) -> Figure:
        """One of the two, to say what it is the figure of."""
        figure = self.new or self.old
        assert figure is not None
        return figure

    @property
    def ratio(self) -> float | None:
        """The new median as a multiple of the old one."""
        return self.new.p50 / self.old.p50 if self.new is not None and self.old is not None and self.old.p50 else None

    @property
    def change(self) -> Change:
        """What became of it: it changed if every part of one run lies beyond every part of the other, and the floor."""
        if self.old is None or self.new is None:
            return Change.NEW if self.old is None else Change.GONE
        apart = 1 + (PERCENT_FLOOR if self.new.unit is Unit.PERCENT else FLOOR)
        more = self.new.steady_low > self.old.steady_high * apart
        less = self.old.steady_low > self.new.steady_high * apart
        if not (more or less):
            return Change.NONE
        return Change.BETTER if more is self.new.unit.more_is_better else Change.WORSE


def compare(old: Results, new: Results) -> list[Compared]:
    """Put the figures of two runs beside each other, in the order of the new one."""
    before, after = old.by_key(), new.by_key()
    return [Compared(before.get(key), after.get(key)) for key in dict.fromkeys((*after, *before))]


def worse(compared: Sequence[Compared]) -> bool:
    """Tell whether a figure of ours became worse; the others tell about the machine."""
    return any(each.figure.who is Who.OURS and each.change is Change.WORSE for each in compared)


def comparison(compared: Sequence[Compared]) -> Table:
    """Return the figures as a table."""
    return Table("Medians", ("case", "whose", "entities", "old", "new", "new/old", ""), [*map(_row, compared)])


def remarks(old: Results, new: Results, compared: Sequence[Compared]) -> Iterator[str]:
    """Say what makes two runs hard to compare."""
    for name in old.machine.__struct_fields__:
        was, now = getattr(old.machine, name), getattr(new.machine, name)
        if was != now:
            yield f"{name} is not the same: {was} then, {now} now."
    if old.box_seconds != new.box_seconds:
        yield f"The runs took different time: {old.box_seconds:g} s a case then, {new.box_seconds:g} s now."
    others = [each.ratio for each in compared if each.figure.who is not Who.OURS and each.ratio is not None]
    if others:
        factor = statistics.median(others)
        yield f"What is not ours took {factor:.2f} times as long as before (median of {len(others)} figures)."


def _row(each: Compared) -> tuple[str, ...]:
    figure, ratio = each.figure, each.ratio
    return (
        figure.case,
        figure.who,
        head_count(figure.entities),
        *("" if one is None else shown(one.p50, one.unit) for one in (each.old, each.new)),
        "" if ratio is None else f"{ratio:.2f}",
        each.change,
    )
