"""`grove dev`: a version runs while it is written."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grove_core.cli.telling import printable

if TYPE_CHECKING:
    from grove_core.serving.telling import Line, Tell

WIDTH = 10
INDENT = " " * 4


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--module", help="Which module, where PATH has several.")
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A settings file, such as grove.toml: its other modules are loaded, and its `setup` is called.",
)
@click.option(
    "--spawn",
    type=click.IntRange(min=0),
    help="So many entities are born with default values; 100 unless `setup` makes them.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True, max=10_000),
    help="Ticks a second; 60 unless the settings say otherwise.",
)
@click.option("--ticks", type=click.IntRange(min=1), help="End after so many ticks; else with SIGTERM or Ctrl-C.")
def dev(
    path: Path, module: str | None, settings: Path | None, spawn: int | None, rate: float | None, ticks: int | None
) -> None:
    """Run a version from its source, and patch it whenever it is saved.

    PATH is a project's source, with a pyproject.toml that states name, version and entry points, or a folder that
    `pip install --target` filled. Nothing is built or installed. Entities keep their state over every save:

    \b
    saved code         takes the place of what runs between two ticks
    a syntax error     is shown with its line, as is whatever else keeps it
                       from running; the old code goes on
    a fault in a tick  is shown with its traceback; the version is restarted
                       once, then its module pauses with the state of the
                       last good tick, and the next good save goes on
    another schema     is refused: start anew, or give it another version,
                       with a lens

    SIGTERM and Ctrl-C end it after the tick that is on.
    """
    from grove_core.serving.dev import Plan, develop

    report = develop(Plan(path, module, settings, spawn, rate), teller(), ticks)
    click.echo(str(report), err=True)


def teller() -> Tell:
    """Return what writes lines to stdout: coloured on a terminal, plain elsewhere."""
    lock = threading.Lock()
    write = _coloured() if sys.stdout.isatty() else _plain

    def tell(line: Line) -> None:
        with lock:
            write(line)

    return tell


def _below(line: Line) -> str:
    """Return what is shown below a line, without what would drive a terminal."""
    return "".join(f"\n{INDENT}{_kept(each)}" for each in line.below.splitlines())


def _kept(text: str) -> str:
    """Return a line printable, as far in as it is."""
    return " " * (len(text) - len(text.lstrip())) + printable(text)


def _plain(line: Line) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')}  {line.what:<{WIDTH}}  {printable(line.text)}{_below(line)}")
    sys.stdout.flush()


def _coloured() -> Tell:
    from rich.console import Console
    from rich.text import Text

    from grove_core.serving.telling import Tone

    looks = {Tone.GOOD: "green", Tone.TROUBLE: "bold red", Tone.NOTE: "cyan", Tone.OUTPUT: "blue"}
    console = Console(highlight=False)

    def tell(line: Line) -> None:
        head = Text.assemble((f"{time.strftime('%H:%M:%S')}  ", "dim"), (f"{line.what:<{WIDTH}}  ", looks[line.tone]))
        console.print(
            Text.assemble(head, printable(line.text), (_below(line), "" if line.tone is Tone.OUTPUT else "dim")),
            soft_wrap=True,
        )

    return tell
