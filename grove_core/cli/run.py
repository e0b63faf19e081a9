"""`grove run`: an engine that runs by itself."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=Path("grove.toml"))
@click.option("--ticks", type=click.IntRange(min=1), help="End after so many ticks; else with SIGTERM or Ctrl-C.")
def run(file: Path, ticks: int | None) -> None:
    """Run an engine as a settings file says, until it is ended.

    The modules that FILE (grove.toml) lists are loaded, and ticked at a fixed rate.

    \b
    [grove.run]
    modules = {gamelogic = "1"}        # what is loaded, in this order
    setup = "mygame.start:setup"       # called once with the engine, to let entities be born
    rate = 60                          # ticks a second

    SIGTERM and Ctrl-C end it after the tick that is on. Frames whose time had passed before they could begin are left
    out and counted.
    """
    from grove_core.serving.program import serve

    click.echo(str(serve(file, ticks)), err=True)
