"""Running many schedules, or replaying one: `python -m tests.simulation --schedules 100000 --jobs 2`."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections import Counter

import click

from .running import run, simulate, simulations

CHUNK = 200


def replay(seed: int) -> bool:
    """Run one schedule and print each step; tell whether it passed."""
    with simulations():
        outcome = simulate(seed)
    click.echo("\n".join(outcome.lines))
    if outcome.error is not None:
        traceback.print_exception(outcome.error)
    return outcome.error is None


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, help="replay this one, and print each step")
    given = parser.parse_args()
    if given.seed is not None:
        return 0 if replay(given.seed) else 1
    began = time.perf_counter()
    last = given.first + given.schedules
    chunks = [range(at, min(at + CHUNK, last)) for at in range(given.first, last, CHUNK)]
    counts: Counter[str] = Counter()
    failed: list[tuple[int, str]] = []
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        for number, (more, wrong) in enumerate(pool.imap(run, chunks), 1):
            counts += more
            failed += wrong
            for seed, error in wrong:
                click.echo(f"{seed}: {error}", err=True)
            if sys.stderr.isatty() or number % 10 == 0:
                click.echo(f"{counts['schedules']} of {given.schedules}, {len(failed)} failed", err=True)
    for name, count in counts.most_common():
        click.echo(f"{count:>12,}  {name}")
    click.echo(f"{time.perf_counter() - began:>12,.1f}  seconds")
    click.echo(f"{len(failed):>12,}  failed")
    for seed, error in failed[:50]:
        click.echo(f"{seed:>12}  {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
