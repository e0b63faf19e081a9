"""How an error becomes an exit code of `grove`, and one line."""

from __future__ import annotations

from enum import IntEnum

from grove_core.base.errors import GroveError, InvalidInput, NotFound, Refused

TRACEBACK = "Traceback (most recent call last):"


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    INTERRUPTED = 130


def exit_code(error: GroveError) -> ExitCode:
    """Return the exit code of an error."""
    for kind, code in (
        (NotFound, ExitCode.NOT_FOUND),
        (Refused, ExitCode.REFUSED),
        (InvalidInput, ExitCode.USAGE),
    ):
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED


def in_short(error: GroveError) -> str:
    """Return what an error says, in one line: without a worker's traceback, whose last line stands before it."""
    return one_line(str(error).partition(TRACEBACK)[0])


def one_line(value: object) -> str:
    """Return the text of a value with every run of whitespace as one space."""
    return " ".join(str(value).split())
