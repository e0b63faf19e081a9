"""`python -m benchmarks run` measures; `python -m benchmarks compare OLD NEW` shows what changed."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from benchmarks.catalogue import CASES
from benchmarks.chart import draw
from benchmarks.comparing import compare, comparison, remarks, worse
from benchmarks.docs import with_results
from benchmarks.figures import Results
from benchmarks.running import QUICK_SIZES, SIZES, NotReady, run
from benchmarks.tables import Table, tables
from grove_core.cli.output import show_table, warn


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say, those of the process if None; return the exit status."""
    told = _parser().parse_args(arguments)
    try:
        return _run(told) if told.command == "run" else _compare(told)
    except (NotReady, OSError, ValueError, msgspec.MsgspecError) as error:
        warn(error)
        return 2


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="measure, and show what was measured")
    one.add_argument("--quick", action="store_true", help="within a minute: smaller populations, fewer runs")
    one.add_argument("--sizes", type=_population, nargs="+", metavar="N", help="populations")
    names = [case.name for case in CASES]
    one.add_argument("--only", choices=names, nargs="+", default=[], metavar="NAME", help=f"of {', '.join(names)}")
    one.add_argument("--out", type=Path, help="write the figures to this file, as JSON")
    one.add_argument("--chart", type=Path, help="draw the figures into this file, as PNG")
    one.add_argument("--docs", type=Path, help="write the tables between the markers of this document")
    two = commands.add_parser("compare", help="show two runs; exit with 1 if something of ours became worse")
    two.add_argument("old", type=Path)
    two.add_argument("new", type=Path)
    return parser


def _population(text: str) -> int:
    if not text.isdecimal() or int(text) < 10:
        raise ArgumentTypeError(f"{text!r} is no number of entities, 10 at the least")
    return int(text)


def _run(told: Namespace) -> int:
    if told.chart and find_spec("matplotlib") is None:
        raise NotReady("a chart needs matplotlib: pip install 'grove-core[bench]'")
    results = run(told.sizes or (QUICK_SIZES if told.quick else SIZES), told.only, quick=told.quick)
    if told.out:
        results.write(told.out)
    if told.chart:
        draw(results, told.chart)
    if told.docs:
        told.docs.write_text(with_results(told.docs.read_text("utf-8"), results), "utf-8")
    for table in tables(results):
        _show(table)
    for reason in results.absent:
        warn(f"not measured: {reason}")
    return 0


def _compare(told: Namespace) -> int:
    old, new = Results.read(told.old), Results.read(told.new)
    compared = compare(old, new)
    _show(comparison(compared))
    for remark in remarks(old, new, compared):
        warn(remark)
    return int(worse(compared))


def _show(table: Table) -> None:
    sys.stdout.write(f"\n{table.title}\n")
    sys.stdout.flush()
    show_table(table.titles, table.rows)


if __name__ == "__main__":
    sys.exit(main())
