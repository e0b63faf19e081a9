"""Tables for people, plain text for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import click

from grove_core.cli.exits import one_line

Command = TypeVar("Command", bound=Callable[..., Any])


class Output(StrEnum):
    """In what form a command answers."""

    TABLE = "table"
    JSON = "json"


def output_option(command: Command) -> Command:
    """Give a command the option `-o`; it gets the parameter `output`, the text of an `Output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([each.value for each in Output]),
        default=Output.TABLE.value,
        show_default=True,
        help="A table to read, or JSON for programs.",
    )(command)


def show_json(document: Any) -> None:
    """Write a document to stdout as indented JSON."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows of cells to stdout: boxed on a terminal, aligned and as wide as it needs to be elsewhere."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _show_boxed(titles, cells)
    else:
        _show_plain(titles, cells)


def warn(message: object) -> None:
    """Write one line to stderr: something is wrong, and the command goes on."""
    click.echo(f"Warning: {one_line(message)}", err=True)


def _show_plain(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [[title.upper() for title in titles], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _show_boxed(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        # As Text: an entry point's [extra] is no markup.
        table.add_row(*map(Text, row))
    Console().print(table)
