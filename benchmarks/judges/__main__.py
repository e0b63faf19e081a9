"""`python -m benchmarks.judges`: simulate rules that judge a canary, and show how often and how late they are right."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from benchmarks.judges import priors
from benchmarks.judges.chart import draw
from benchmarks.judges.outcomes import outcomes, tables
from grove_core.cli.output import show_table

BEGIN = "<!-- results: written by `python -m benchmarks.judges --docs FILE` -->"
END = "<!-- end of the results -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say, those of the process if None; return the exit status."""
    parser = ArgumentParser(prog="python -m benchmarks.judges", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chart", type=Path, help="draw the outcomes into this file, as PNG")
    parser.add_argument("--docs", type=Path, help="write the tables between the markers of this document")
    told = parser.parse_args(arguments)
    found = list(outcomes(told.runs, told.seed))
    shown = [*tables(found), priors.table(told.runs, told.seed)]
    if told.chart:
        draw(found, told.chart, told.runs)
    if told.docs:
        text = told.docs.read_text("utf-8")
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        made = "\n\n".join(table.markdown() for table in shown)
        about = f"{told.runs:,} runs each, seed {told.seed}."
        told.docs.write_text("\n\n".join([before + BEGIN, about, made, END + after]), "utf-8")
    for table in shown:
        sys.stdout.write(f"\n{table.title}\n")
        sys.stdout.flush()
        show_table(table.titles, table.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
