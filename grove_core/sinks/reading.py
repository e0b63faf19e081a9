"""Reading what the sink `jsonl` wrote: from a file, from those that it was rotated to before, or from a stream."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from grove_core.sinks.jsonl import rotated
from grove_core.sinks.recorded import Recorded, parse

LONGEST: Final = 16 << 20
"""The longest line that is read, in bytes."""


@dataclass(frozen=True)
class Line:
    """One line of a file."""

    source: str
    """The file's path."""
    number: int
    """In that file, from 1 on."""
    text: bytes
    """Without its end."""
    recorded: Recorded | None
    """None if it is no event and no sample."""
    error: str | None
    """Why it is neither."""


def read_events(path: str | Path) -> Iterator[Recorded]:
    """Yield the events and samples that a file holds, and those it was rotated to before it, oldest first.

    Lines that hold none are left out; `read_lines` has them.

    Raises:
        OSError: the file is not there, or cannot be read.
    """
    return (line.recorded for line in read_lines(path) if line.recorded is not None)


def read_lines(path: str | Path) -> Iterator[Line]:
    """Yield every line of a file, and of those it was rotated to before it, oldest first; empty ones are left out.

    Raises:
        OSError: the file is not there, or cannot be read.
    """
    with Journal(path) as journal:
        yield from journal.lines()
        yield from journal.unfinished()


def read_stream(stream: BinaryIO, name: str) -> Iterator[Line]:
    """Yield every line of a stream as it comes."""
    part = _Part(name, stream)
    yield from part.lines()
    yield from part.unfinished()


class Journal:
    """A file as it is written and rotated by an engine: gives what is there, and later what has come since.

    Args:
        path: the file that is written now.

    Raises:
        OSError: it is not there, or cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._parts = self._after(set())
        if not self._parts:
            raise FileNotFoundError(f"{self._path}: there is no such file")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lines(self) -> Iterator[Line]:
        """Yield the lines that are whole, and were not given yet; oldest first.

        Raises:
            OSError: a file cannot be read.
        """
        while True:
            yield from self._parts[0].lines()
            if len(self._parts) == 1:
                self._parts += self._after({self._parts[0].file})
            if len(self._parts) == 1:
                return
            part = self._parts[0]
            yield from part.lines()  # what was written before it was renamed
            yield from part.unfinished()
            self._parts.pop(0).close()

    def unfinished(self) -> Iterator[Line]:
        """Yield the last line, if it has no end: it is being written, or its writer was killed."""
        return self._parts[-1].unfinished()

    def close(self) -> None:
        """Close the files."""
        for part in self._parts:
            part.close()

    def _after(self, known: set[tuple[int, int]]) -> list[_Part]:
        """Open the file, and those it was rotated to back to the first that is known; oldest first.

        What is renamed meanwhile is met again under its next name, and passed over.
        """
        opened: dict[tuple[int, int], _Part] = {}
        with ExitStack() as undo:
            for part in self._newest_first():
                undo.callback(part.close)
                if part.file in known:
                    part.close()
                    break
                if part.file in opened:
                    part.close()
                else:
                    opened[part.file] = part
            undo.pop_all()
        return list(opened.values())[::-1]

    def _newest_first(self) -> Iterator[_Part]:
        """Open one file after the other. One may be missing: its writer is renaming, or was killed while it was."""
        missing = 0
        for number in itertools.count():
            path = rotated(self._path, number) if number else self._path
            try:
                yield _Part(str(path), path.open("rb"))
                missing = 0
            except FileNotFoundError:
                missing += 1
                if missing == 2:
                    return


class _Part:
    """One file or stream, read line by line."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self._name = name
        self._stream = stream
        self._number = 0
        self._begun = b""
        """The beginning of a line whose end has not come yet."""
        self._skipping = False
        """Whether that line is too long, and what comes of it is thrown away."""

    @property
    def file(self) -> tuple[int, int]:
        """By which it is known again, whatever its name."""
        status = os.fstat(self._stream.fileno())
        return status.st_dev, status.st_ino

    def lines(self) -> Iterator[Line]:
        while piece := self._stream.readline(LONGEST):
            self._begun = piece if self._skipping else self._begun + piece
            ended = piece.endswith(b"\n")
            if not ended and len(self._begun) >= LONGEST:
                self._skipping = True
            if ended:
                yield from self.unfinished()

    def unfinished(self) -> Iterator[Line]:
        text, self._begun = self._begun, b""
        skipped, self._skipping = self._skipping, False
        if not text and not skipped:
            return
        self._number += 1
        if skipped or len(text) > LONGEST:
            yield Line(self._name, self._number, b"", None, f"it has more than {LONGEST} bytes")
        elif text.strip():
            yield self._line(text.rstrip(b"\r\n"))

    def close(self) -> None:
        self._stream.close()

    def _line(self, text: bytes) -> Line:
        try:
            return Line(self._name, self._number, text, parse(text), None)
        except ValueError as error:
            return Line(self._name, self._number, text, None, str(error))
