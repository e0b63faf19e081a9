"""A scenario on the command line: its text, its JSON, its bar, its exit code."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Progressed = Callable[[int, str], None]
"""Called with how many steps are done, and with what it is at."""
Pace = Callable[[float], None]
"""Called before each tick with the simulated time in seconds; it returns when the tick is due."""


def conclude(text: str, document: Mapping[str, Any], passed: bool, json_path: Path | None) -> int:
    """Show what a run came to, and write the JSON where it is asked for.

    Returns:
        The exit code: 0 if it passed, 1 if it failed or the JSON could not be written.
    """
    # A terminal that cannot show a check mark shows a question mark, rather than ending in a traceback.
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding))
    if json_path is not None:
        try:
            json_path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        except OSError as error:
            click.echo(f"cannot write {json_path}: {error.strerror}; name a file that can be written", err=True)
            return 1
    return 0 if passed else 1


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the engine's log off the terminal: the text tells the same, faults included."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def progress(total: int, unit: str, begins_with: str) -> Iterator[Progressed | None]:
    """Show a bar while a run lasts, on a terminal; elsewhere nothing.

    Args:
        total: how many steps there are.
        unit: what a step is, in the plural.
        begins_with: what it is at before the first step.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed}}/{{task.total}} {unit}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(begins_with, total=total)

        def show(done: int, description: str) -> None:
            bar.update(task, completed=done, description=description)

        yield show


class Realtime:
    """A pace at which a simulated second lasts a second; ticks that are late catch up."""

    def __init__(self) -> None:
        self._start: float | None = None

    def __call__(self, seconds: float) -> None:
        """Sleep until `seconds` after the first call."""
        now = time.monotonic()
        if self._start is None:
            self._start = now - seconds
        time.sleep(max(0.0, self._start + seconds - now))


def at_once(seconds: float) -> None:
    """Let ticks follow each other as fast as they go."""
