"""The scenarios under `grove scenario` in which rollouts find out by themselves whether a version is good."""

from __future__ import annotations

from pathlib import Path

import click

from grove_core.cli.reliability import json_option


@click.command()
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="With how many seeds those versions run that fail at random.",
)
@click.option(
    "--entities",
    type=click.IntRange(min=100),
    default=500,
    show_default=True,
    help="How many entities live in the module.",
)
@json_option
@click.pass_context
def rollout(ctx: click.Context, seeds: int, entities: int, json_path: Path | None) -> None:
    """Versions that are good, broken, slow or no worse, and rollouts that find out.

    A good one must be promoted by itself, one with 10% errors be rolled back within 2 simulated seconds of its 25th
    error, one with 1% errors beside a stable with 1% in at most 5% of the seeds, and a slow one be caught; blue and
    green must change places in one tick, and every decision be in the log with its evidence. Exits with 0 if it
    PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.rollouts.rollout import run_command

    ctx.exit(run_command(seeds, entities, json_path))


@click.command()
@click.option(
    "--players",
    type=click.IntRange(min=1000),
    default=100_000,
    show_default=True,
    help="How many players there are.",
)
@json_option
@click.pass_context
def mmo(ctx: click.Context, players: int, json_path: Path | None) -> None:
    """A hundred thousand players, and a new PvP system at 5, 10, 30 and 100%.

    A good one must be promoted. One with a bug that shows only at 30% must be back within a simulated second of its
    first error, and going back take less than a second; no player may be lost, every value must equal a reference, and
    each step give exactly the players it says. Exits with 0 if it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.rollouts.mmo import run_command

    ctx.exit(run_command(players, json_path))


COMMANDS: tuple[click.Command, ...] = (rollout, mmo)
"""In the order in which they are listed."""
