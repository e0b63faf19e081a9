"""The scenarios under `grove scenario` that hold an engine against faults, time and rewritten files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def seconds_option(default: int) -> Callable[[Command], Command]:
    """Give a command the option `--seconds`."""
    return click.option(
        "--seconds",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="How long it lasts, in simulated seconds of 60 ticks.",
    )


def entities_option(default: int) -> Callable[[Command], Command]:
    """Give a command the option `--entities`."""
    return click.option(
        "--entities",
        type=click.IntRange(min=3),
        default=default,
        show_default=True,
        help="How many entities live in the module.",
    )


def seed_option(command: Command) -> Command:
    """Give a command the option `--seed`."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="What all that is drawn comes from."
    )(command)


def json_option(command: Command) -> Command:
    """Give a command the option `--json`; it gets the parameter `json_path`."""
    return click.option(
        "--json",
        "json_path",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        help="Write the result, its metrics and its assertions to this file as well.",
    )(command)


def realtime_option(command: Command) -> Command:
    """Give a command the option `--realtime`."""
    return click.option(
        "--realtime", is_flag=True, help="Let simulated seconds last as long; else as fast as it goes."
    )(command)


@click.command()
@seconds_option(300)
@seed_option
@entities_option(100)
@realtime_option
@json_option
@click.pass_context
def chaos(ctx: click.Context, seconds: int, seed: int, entities: int, realtime: bool, json_path: Path | None) -> None:
    """Three versions of gamelogic, and every kind of fault at random.

    In ticks, in moves of entities and in loads; what was lost is loaded again. The engine must live, every fault be
    recovered, and every entity equal a reference bit for bit; memory may grow by less than 10 MB, and nothing may be
    left. Exits with 0 if it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.reliability.chaos import run_command

    ctx.exit(run_command(seconds, seed, entities, realtime, json_path))


@click.command()
@seconds_option(600)
@entities_option(10_000)
@realtime_option
@json_option
@click.pass_context
def stress(ctx: click.Context, seconds: int, entities: int, realtime: bool, json_path: Path | None) -> None:
    """Three versions at 60 Hz, and one of them reloaded every 5 seconds, in turn.

    The p99 of reloads must stay below 1 s and every second above 30 frames; memory may grow by less than 20 MB.
    Exits with 0 if it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.reliability.stress import run_command

    ctx.exit(run_command(seconds, entities, realtime, json_path))


@click.command()
@click.option(
    "--cycles",
    type=click.IntRange(min=10),
    default=1000,
    show_default=True,
    help="How many loads, each with an unload.",
)
@json_option
@click.pass_context
def leaks(ctx: click.Context, cycles: int, json_path: Path | None) -> None:
    """Load and unload versions a thousand times beside one that runs.

    Memory may grow by less than 1 MB, and no process, descriptor, mapping or folder may be left. Exits with 0 if it
    PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.reliability.leaks import run_command

    ctx.exit(run_command(cycles, json_path))


@click.command("error-recovery")
@json_option
@click.pass_context
def error_recovery(ctx: click.Context, json_path: Path | None) -> None:
    """Each kind of fault at each point of the protocol, once, and packages that are broken on disk.

    Shows what each was seen as. Nothing else may be touched: no entity, no worker of another version. Exits with 0 if
    it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.reliability.error_recovery import run_command

    ctx.exit(run_command(json_path))


@click.command()
@click.option(
    "--loads", type=click.IntRange(min=1), default=1000, show_default=True, help="How many loads, each with a writing."
)
@seed_option
@json_option
@click.pass_context
def races(ctx: click.Context, loads: int, seed: int, json_path: Path | None) -> None:
    """Load a package a thousand times while another process rewrites it, file by file.

    Half-written code may never run, over 99% of the loads must succeed, and a restart must run what ran before. Exits
    with 0 if it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.reliability.races import run_command

    ctx.exit(run_command(loads, seed, json_path))


COMMANDS: tuple[click.Command, ...] = (chaos, stress, leaks, error_recovery, races)
"""In the order in which they are listed."""
