"""`grove scenario`: what was asked for, played through for real."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from grove_core.cli import modules, reliability, rollouts
from grove_core.cli.output import Output, output_option, show_json, show_table
from grove_core.parts.settings import Settings
from grove_core.wire.faults import SEEN_AS, InjectedKind

SCENARIOS: Mapping[str, str] = {
    "coexistence": "Three versions: canary, ramp, collection, a fault with its rollback, three at once.",
    "chaos": "Three versions at 60 Hz, and every kind of fault at random.",
    "stress": "Three versions at 60 Hz, and a reload every 5 s.",
    "leaks": "A thousand loads and unloads, and what is left of them.",
    "error-recovery": "Each fault at each point of the protocol, and packages that are broken on disk.",
    "races": "A package that is rewritten while it is loaded, a thousand times.",
    "rollout": "Versions that are good, broken, slow or no worse, and rollouts that find out.",
    "mmo": "A hundred thousand players, and a new PvP system at 5, 10, 30 and 100%.",
    "hot-reload": "Tanks at 60 Hz, and other code in the place of theirs, again and again.",
    "multi-module": "Map, Tank and Production, each of them changed while the others go on.",
    "limits": "Much state, endless initialisations, corrupt state, and little memory.",
    "config": "Configs that change while versions run, are refused, and come from a file.",
    "dependencies": "A map, units and an AI that need each other, and what is refused of them.",
}
COEXISTENCE_FAULTS = [kind for kind in SEEN_AS if kind is not InjectedKind.RANGE]
"""What v2 can do wrong so that the engine sees it; none of its columns has bounds."""


@click.group()
def scenario() -> None:
    """Run a scenario, and see whether it passes."""


@scenario.command("list")
@output_option
def list_scenarios(output: str) -> None:
    """Show the scenarios there are."""
    if Output(output) is Output.JSON:
        show_json([{"name": name, "summary": summary} for name, summary in SCENARIOS.items()])
    else:
        show_table(("scenario", "summary"), list(SCENARIOS.items()))


@scenario.command()
@click.option(
    "--entities",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many entities live in the module.",
)
@click.option(
    "--fault",
    type=click.Choice([kind.value for kind in COEXISTENCE_FAULTS]),
    default=InjectedKind.RAISE.value,
    show_default=True,
    help="What v2 does wrong, so that it is rolled back.",
)
@click.option(
    "--ticks-per-second",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Ticks in a simulated second. Fewer make a run shorter, and each of its ticks move further.",
)
@click.option("--realtime", is_flag=True, help="Let the 150 seconds last as long; else as fast as it goes.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the result, its metrics and its assertions to this file as well.",
)
@click.option(
    "--settings",
    "settings_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the engine's settings from the table [grove] of this TOML file.",
)
@click.pass_context
def coexistence(
    ctx: click.Context,
    entities: int,
    fault: str,
    ticks_per_second: int,
    realtime: bool,
    json_path: Path | None,
    settings_path: Path | None,
) -> None:
    """Three versions of gamelogic, ticked for 150 simulated seconds.

    A canary at 10%, a ramp to 100%, the collection of what is unused, a fault with its automatic rollback,
    and three versions at once. Every frame is measured, and the worst are shown with what happened in them.
    Exits with 0 if it PASSED, with 1 if it FAILED.
    """
    settings = None if settings_path is None else Settings.read(settings_path)
    # Not before it is needed: the engine and the terminal's library come with it.
    from grove_core.scenario.coexistence import run_command

    ctx.exit(run_command(entities, InjectedKind(fault), realtime, json_path, settings, ticks_per_second))


for command in (*reliability.COMMANDS, *rollouts.COMMANDS, *modules.COMMANDS):
    scenario.add_command(command)
