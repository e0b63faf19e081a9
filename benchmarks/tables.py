"""A run as tables, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure, Results, Unit, Who

PLAIN = (Who.OBJECTS, Who.DICTS, Who.INTERPRETER)
ERLANG = (Who.ERLANG_MAP, Who.ERLANG_ETS)
NAMES = {Who.ERLANG_MAP: "map", Who.ERLANG_ETS: "ETS"}


@dataclass(frozen=True)
class Table:
    """Rows of text under titles."""

    title: str
    titles: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.titles, ("---",) * len(self.titles), *self.rows]
        return "\n".join([f"### {self.title}", "", *(f"| {' | '.join(cells)} |" for cells in lines)])


def tables(results: Results) -> Iterator[Table]:
    """Return the targets, what has others beside it, and the rest; what is empty is left out."""
    order = list(dict.fromkeys(figure.case for figure in results.figures))
    shared = {figure.key[::2] for figure in results.figures if figure.who is not Who.OURS}
    ours = [figure for figure in results.figures if figure.who is Who.OURS]
    ours.sort(key=lambda figure: order.index(figure.case))
    alone = [figure for figure in ours if figure.key[::2] not in shared]
    sizes = sorted({figure.entities for figure in alone})
    every = (
        Table("Targets", ("figure", "target", "measured", "runs", ""), [*_targets(results)]),
        Table(
            "Beside others, medians",
            ("case", "entities", "ours", "p95", "p99", "runs", "memcpy", "numpy", "plain Python", "Erlang"),
            [*_beside(results, [figure for figure in ours if figure.key[::2] in shared])],
        ),
        Table(
            "By themselves, median and p99",
            ("case", *(head_count(size) or "any" for size in sizes)),
            [*_alone(alone, sizes)],
        ),
    )
    yield from (table for table in every if table.rows)


def shown(value: float, unit: Unit) -> str:
    """Write a value with its unit, to three digits."""
    if unit is Unit.MS:
        for size, name in ((1000.0, "s"), (1.0, "ms"), (1e-3, "us")):
            if value >= size:
                return f"{_digits(value / size)} {name}"
        return f"{_digits(value * 1e6)} ns"
    return f"{_digits(value)}{'' if unit is Unit.PERCENT else ' '}{unit}"


def head_count(entities: int) -> str:
    """Write a number of entities; nothing where it does not matter."""
    return f"{entities:,}" if entities else ""


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def _targets(results: Results) -> Iterator[tuple[str, ...]]:
    for each in results.outcomes:
        limit = f"{'>=' if each.unit.more_is_better else '<='} {each.limit:g} {each.unit}"
        measured = "" if each.measured is None else shown(each.measured, each.unit)
        yield each.title, limit, measured, str(each.runs or ""), each.verdict


def _beside(results: Results, ours: Iterable[Figure]) -> Iterator[tuple[str, ...]]:
    found = results.by_key()
    for figure in ours:
        others = [found[key] for who in Who if (key := (figure.case, who, figure.entities)) in found]
        cells = (_best(others, whose) for whose in ((Who.MEMCPY,), (Who.NUMPY,), PLAIN, ERLANG))
        yield (*_own(figure), str(figure.runs), *cells)


def _alone(ours: Iterable[Figure], sizes: Sequence[int]) -> Iterator[tuple[str, ...]]:
    cells: dict[str, dict[int, str]] = {}
    for figure in ours:
        text = f"{shown(figure.p50, figure.unit)} · {shown(figure.p99, figure.unit)}"
        cells.setdefault(figure.case, {})[figure.entities] = text
    for case, by_size in cells.items():
        yield case, *(by_size.get(size, "") for size in sizes)


def _best(figures: Iterable[Figure], whose: Sequence[Who]) -> str:
    """Show the fastest of several ways, and which one it was."""
    best = min((figure for figure in figures if figure.who in whose), key=lambda figure: figure.p50, default=None)
    if best is None:
        return ""
    name = f" ({NAMES.get(best.who, best.who)})" if len(whose) > 1 else ""
    return shown(best.p50, best.unit) + name


def _own(figure: Figure) -> tuple[str, ...]:
    spread = (shown(value, figure.unit) for value in (figure.p50, figure.p95, figure.p99))
    return figure.case, head_count(figure.entities), *spread
