"""Recorded events and samples as lines for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import click

from grove_core.base.events import TROUBLE
from grove_core.cli.exits import one_line
from grove_core.sinks.recorded import Recorded, RecordedEvent, RecordedSample

LONGEST = 600
"""So many characters of one value are shown; `--json` shows all."""
LEFT_OUT = frozenset({"traceback"})
"""What is too long for a line, and whose end the message has."""
KIND_WIDTH = 19
WHERE_WIDTH = 16


class Tone(StrEnum):
    """How a part of a line looks on a terminal, as rich names it."""

    TIME = "dim"
    GOOD = "green"
    TROUBLE = "bold red"
    SAMPLE = "cyan"
    WHERE = "bold"
    NAME = "blue"
    PLAIN = ""


@dataclass(frozen=True)
class Piece:
    """A part of a line."""

    text: str
    tone: Tone = Tone.PLAIN


TROUBLED = frozenset(kind.value for kind in TROUBLE)


def teller() -> Callable[[Recorded], None]:
    """Return what writes a line for each to stdout: coloured on a terminal, plain elsewhere."""
    return _coloured() if sys.stdout.isatty() else _plain


def lines_of(recorded: Recorded) -> Iterator[list[Piece]]:
    """Yield the lines that tell of an event, or of a sample: one for each version, and one for each judge."""
    if isinstance(recorded, RecordedEvent):
        tone = Tone.TROUBLE if recorded.kind in TROUBLED else Tone.GOOD
        yield [*_head(recorded, recorded.kind, tone, recorded.module, recorded.version), *_named(recorded.details)]
        return
    for version in recorded.versions:
        figures = {name: value for name, value in version.items() if name not in ("module", "version", "durations")}
        yield [*_head(recorded, "sample", Tone.SAMPLE, recorded.module, version.get("version")), *_named(figures)]
    for judge, judgement in recorded.judgements.items():
        yield [*_head(recorded, "judgement", Tone.SAMPLE, recorded.module, None), *_named({judge: judgement})]


def printable(text: str) -> str:
    """Return a text in one line, without what would drive a terminal: a version may print anything."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in one_line(text))


def _head(
    recorded: RecordedEvent | RecordedSample, kind: str, tone: Tone, module: str | None, version: object
) -> Iterator[Piece]:
    where = module or "-" if version is None else f"{module or ''}@{version}"
    yield Piece(f"{_time(recorded.wall)}  {recorded.at:.3f} s  ", Tone.TIME)
    yield Piece(f"{printable(kind):<{KIND_WIDTH}}  ", tone)
    yield Piece(f"{printable(where):<{WHERE_WIDTH}}", Tone.WHERE)


def _named(details: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield each name with its value; what is empty is left out, and so are tracebacks."""
    for name, value in details.items():
        if name in LEFT_OUT or value is None or value in ({}, [], ""):
            continue
        yield Piece(f"  {printable(name)}=", Tone.NAME)
        yield Piece(_cut(_shown(value)))


def _shown(value: Any) -> str:
    """Return a value as people write it: whole numbers whole, others with six digits."""
    match value:
        case dict():
            return "{" + ", ".join(f"{printable(name)}: {_shown(each)}" for name, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_shown, value)) + "]"
        case float():
            return f"{value:.0f}" if value.is_integer() else f"{value:.6g}"
        case str():
            return printable(value)
        case _:
            return json.dumps(value)


def _cut(text: str) -> str:
    """Return both ends of what is too long."""
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]} ... {text[-half:]}"


def _time(wall: float) -> str:
    """Return the local time, to the millisecond."""
    try:
        return datetime.fromtimestamp(wall, UTC).astimezone().isoformat(" ", "milliseconds")[:23]
    except (OverflowError, ValueError, OSError):
        return "?"


def _plain(recorded: Recorded) -> None:
    for line in lines_of(recorded):
        click.echo("".join(piece.text for piece in line).rstrip())


def _coloured() -> Callable[[Recorded], None]:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)

    def tell(recorded: Recorded) -> None:
        for line in lines_of(recorded):
            console.print(Text.assemble(*((piece.text, piece.tone.value) for piece in line)), soft_wrap=True)

    return tell
