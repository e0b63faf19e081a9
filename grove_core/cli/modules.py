"""The scenarios under `grove scenario` in which several modules, their configs and their code change while they run."""

from __future__ import annotations

from pathlib import Path

import click

from grove_core.cli.reliability import json_option


@click.command()
@click.option(
    "--entities",
    type=click.IntRange(min=4),
    default=1000,
    show_default=True,
    help="How many entities live in the module.",
)
@json_option
@click.pass_context
def config(ctx: click.Context, entities: int, json_path: Path | None) -> None:
    """Configs that change while versions run, are refused, and come from a file.

    An update must take less than 50 ms, and one that is refused be rolled back in every worker in less than 10 ms; a
    change of grove.toml must have effect within 100 ms of being read. Changes are merged exactly, whoever lives keeps
    what it was built with, every mistake is told, and versions that raise, hang or die of a config harm nobody. Exits
    with 0 if it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.modules.config import run_command

    ctx.exit(run_command(entities, json_path))


@click.command()
@click.option(
    "--entities",
    type=click.IntRange(min=2),
    default=1000,
    show_default=True,
    help="How many entities live in each module.",
)
@json_option
@click.pass_context
def dependencies(ctx: click.Context, entities: int, json_path: Path | None) -> None:
    """A map, units that need it, an AI that needs both, and a chat that needs nothing.

    A load must bring along what is missing; another stable map reload units and AI, base first, in less than 200 ms,
    with every bit of their state, and not touch the chat. What is out of range or missing, the unloading of what is
    needed, and a cycle (in less than 50 ms) must be refused with the reason, and leave nothing. Exits with 0 if it
    PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.modules.dependencies import run_command

    ctx.exit(run_command(entities, json_path))


@click.command("multi-module")
@click.option(
    "--entities",
    type=click.IntRange(min=4),
    default=1000,
    show_default=True,
    help="How many tanks there are; the map has four times as many tiles, and there are half as many factories.",
)
@json_option
@click.pass_context
def multi_module(ctx: click.Context, entities: int, json_path: Path | None) -> None:
    """Map, Tank and Production, each of them changed while the others go on.

    Each gets a canary, a new stable version, a rollback, and faults with their rollbacks. Every tick must go in the
    order Map, Tank, Production; no byte of the others may change, only what needs the module may be reloaded, and every
    value must equal a reference. Exits with 0 if it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.modules.multi_module import run_command

    ctx.exit(run_command(entities, json_path))


@click.command()
@click.option(
    "--megabytes",
    type=click.IntRange(min=1, max=500),
    default=120,
    show_default=True,
    help="How much state there is, in millions of bytes.",
)
@json_option
@click.pass_context
def limits(ctx: click.Context, megabytes: int, json_path: Path | None) -> None:
    """Much state, endless initialisations, corrupt state, and little memory.

    All state must go out and in again in less than 2 s each, bit for bit; a slow initialisation be loaded, and one that
    never ends be cancelled and freed; corrupt state be refused; reloads under memory pressure take less than 3 s, and
    allocations that fail lose nothing. Exits with 0 if it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.modules.limits import run_command

    ctx.exit(run_command(megabytes, json_path))


@click.command("hot-reload")
@click.option("--entities", type=click.IntRange(min=1), default=50, show_default=True, help="How many tanks there are.")
@click.option(
    "--patches",
    type=click.IntRange(min=2),
    default=10,
    show_default=True,
    help="How often it goes from 1.0.0 to 1.0.1, to changed code of that, and back by two undos.",
)
@json_option
@click.pass_context
def hot_reload(ctx: click.Context, entities: int, patches: int, json_path: Path | None) -> None:
    """Tanks at 60 Hz in one thread, while another one puts other code in the place of theirs.

    A reload must take less than 500 ms, and no frame go over its 16.7 ms for it; every tank must be where a reference
    has it, bit for bit, and memory grow by less than 5 MB. A syntax error must keep the old code, another schema be
    refused, and an undo give the old behaviour back. Exits with 0 if it PASSED, with 1 if it FAILED.
    """
    from grove_core.scenario.modules.hot_reload import run_command

    ctx.exit(run_command(entities, patches, json_path))


COMMANDS: tuple[click.Command, ...] = (hot_reload, multi_module, limits, config, dependencies)
"""In the order in which they are listed."""
