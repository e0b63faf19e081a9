"""`grove events`: what an engine wrote down of what happened."""

from __future__ import annotations

import difflib
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from grove_core.base.errors import GroveError, NotFound
from grove_core.base.events import EventKind
from grove_core.cli.exits import ExitCode
from grove_core.cli.output import warn
from grove_core.cli.telling import printable, teller
from grove_core.sinks.reading import Journal, Line, read_lines, read_stream
from grove_core.sinks.recorded import Recorded, RecordedSample

STDIN = "-"
POLL_SECONDS = 0.2
"""How often a file that is followed is looked at."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Wanted:
    """Which of what was recorded is asked for."""

    modules: frozenset[str]
    """Any, if there are none."""
    kinds: frozenset[str]
    """Of events; any, if there are none."""
    since: float
    """Seconds since 1970."""
    samples: bool

    def takes(self, recorded: Recorded) -> bool:
        """Tell whether this is asked for."""
        if recorded.wall < self.since or (self.modules and recorded.module not in self.modules):
            return False
        if isinstance(recorded, RecordedSample):
            return self.samples
        return not self.kinds or recorded.kind in self.kinds


def known_kinds(ctx: click.Context, parameter: click.Parameter, given: Sequence[str]) -> frozenset[str]:
    """Return the kinds that were named; one that there is not is a usage error that names those that are near."""
    every = [kind.value for kind in EventKind]
    for name in given:
        if name not in every:
            near = difflib.get_close_matches(name, every, 3) or every
            raise click.BadParameter(f"there is no kind {name!r}; there are: {', '.join(near)}")
    return frozenset(given)


def moment(ctx: click.Context, parameter: click.Parameter, given: str | None) -> float:
    """Return the seconds since 1970 that `10m` (so long ago) or `2026-11-25 17:30` (local time) stand for."""
    if given is None:
        return float("-inf")
    if ago := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", given.strip()):
        return time.time() - float(ago[1]) * UNITS[ago[2]]
    try:
        return datetime.fromisoformat(given).timestamp()
    except (ValueError, OverflowError):
        text = f"{given!r} is neither so long ago (30s, 10m, 2h, 1d) nor a time (2026-11-25 17:30)"
        raise click.BadParameter(text) from None


@click.command()
@click.argument("file")
@click.option("--module", "modules", multiple=True, help="Only what happened to this module. Repeatable.")
@click.option("--kind", "kinds", multiple=True, callback=known_kinds, help="Only events of this kind. Repeatable.")
@click.option("--since", callback=moment, help="Only from then on: 10m (s, m, h, d: so long ago), or a time.")
@click.option("--last", type=click.IntRange(min=1), help="Only so many, the latest.")
@click.option("--samples", is_flag=True, help="Show samples as well: how each version did, once in a while.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option("--json", "raw", is_flag=True, help="Write the lines as they stand in the file.")
@click.pass_context
def events(
    ctx: click.Context,
    file: str,
    modules: Sequence[str],
    kinds: frozenset[str],
    since: float,
    last: int | None,
    samples: bool,
    follow: bool,
    raw: bool,
) -> None:
    """Show what an engine wrote down of what happened.

    FILE is what the sink `jsonl` writes; files that it was rotated to are read first. A dash stands for stdin. Each
    event is a line: local time, the engine's clock, kind, module and version, details; tracebacks are shown by --json
    only. Lines that are no events are told and skipped; if there is nothing else, the exit code is 1.
    """
    if follow and file == STDIN:
        raise click.UsageError("stdin is followed as it is: leave --follow out")
    show = Shown(Wanted(frozenset(modules), kinds, since, samples), _raw if raw else _told())
    try:
        if file == STDIN:
            show.all(read_stream(sys.stdin.buffer, "stdin"), last)
        elif follow:
            with Journal(file) as journal:
                show.all(journal.lines(), last)
                while True:
                    time.sleep(POLL_SECONDS)
                    show.all(journal.lines())
        else:
            show.all(read_lines(file), last)
    except FileNotFoundError:
        raise NotFound(f"{file}: there is no such file; the sink `jsonl` writes one") from None
    except OSError as error:
        raise GroveError(f"{file} cannot be read: {error.strerror}") from error
    ctx.exit(ExitCode.FAILED if show.bad and not show.good else ExitCode.OK)


class Shown:
    """Shows lines that are asked for, and counts the others."""

    def __init__(self, wanted: Wanted, show: Callable[[Line, Recorded], None]) -> None:
        self._wanted = wanted
        self._show = show
        self.good = 0
        """Lines that are events or samples, asked for or not."""
        self.bad = 0

    def all(self, lines: Iterable[Line], last: int | None = None) -> None:
        """Show those of some lines that are asked for; of these only the last ones, if it is said how many."""
        kept = deque[tuple[Line, Recorded]](maxlen=last)
        for line in lines:
            if line.recorded is None:
                self.bad += 1
                warn(printable(f"{line.source}, line {line.number}: {line.error}"))
                continue
            self.good += 1
            if not self._wanted.takes(line.recorded):
                continue
            if last is None:
                self._show(line, line.recorded)
            else:
                kept.append((line, line.recorded))
        for each in kept:
            self._show(*each)


def _raw(line: Line, recorded: Recorded) -> None:
    click.echo(line.text)


def _told() -> Callable[[Line, Recorded], None]:
    tell = teller()
    return lambda line, recorded: tell(recorded)
