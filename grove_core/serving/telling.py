"""What an author is told while a version is developed: a line for each thing that happens, and an error's own text."""

from __future__ import annotations

import importlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import grove_core
from grove_core.base.events import Event, EventKind
from grove_core.runtime.copies.claims import CLAIMED

OWN_FRAMES = (str(Path(grove_core.__file__).parent), str(Path(importlib.__file__).parent), "<frozen importlib")
"""Where the frames of a traceback lie that are not the author's."""
FILE = re.compile(r'^  File "(?P<path>[^"]+)"', re.MULTILINE)
COPIED = re.compile(rf"[^\s\"']*/{CLAIMED}[^/\s\"']+/")
"""Where a copy of an engine's lies, up to the files of a version."""

PAUSED = "no code runs that can go on; its entities keep the state of the last good tick. Save a fix, and it goes on"


class Tone(StrEnum):
    """How a line is meant."""

    GOOD = "good"
    TROUBLE = "trouble"
    NOTE = "note"
    OUTPUT = "output"
    """Somebody else's text: what the version printed."""


@dataclass(frozen=True)
class Line:
    """One line, and what is shown below it."""

    tone: Tone
    what: str
    """In a word."""
    text: str
    below: str = ""


Tell = Callable[[Line], None]


def in_sources(text: str, folder: Path, base: Path) -> str:
    """Name the files that an author wrote where a text names copies of them, or says they lie in the project itself.

    Args:
        text: any.
        folder: the project.
        base: where its packages lie in it.
    """

    def written(found: re.Match[str]) -> str:
        within = found["within"]
        return found[0] if (folder / within).exists() else f"{base}/{within}"

    return re.sub(
        rf"{re.escape(str(folder))}/(?P<within>[^\s\"':,;]+)", written, COPIED.sub(lambda _: f"{base}/", text)
    )


def split_traceback(text: str) -> tuple[str, str]:
    """Return what stands before a traceback, and the traceback; nothing where there is none."""
    before, mark, after = text.partition("Traceback (most recent call last):")
    return before.rstrip(), f"{mark}{after}".rstrip()


def authors_part(traceback: str) -> str:
    """Return a traceback without the frames of Grove and of the import system; the last error of a chain alone."""
    last = traceback.rpartition("Traceback (most recent call last):")[2].strip("\n")
    return "\n".join(entry for entry in _entries(last) if not _is_own(entry))


def _entries(traceback: str) -> Iterator[str]:
    """Yield each frame with the lines that show it, and what stands below the frames."""
    entry: list[str] = []
    for line in traceback.splitlines():
        if entry and (line.startswith("  File ") or not line.startswith(" ")):
            yield "\n".join(entry)
            entry = []
        entry.append(line)
    if entry:
        yield "\n".join(entry)


def _is_own(entry: str) -> bool:
    found = FILE.match(entry)
    return found is not None and found["path"].startswith(OWN_FRAMES)


class Narrator:
    """A sink that tells of what a version does: its faults, what became of them, what it prints.

    The same fault again and again is told once, until there is other code.

    Args:
        tell: gets the lines, in the engine's thread.
        folder: the project.
        base: where its packages lie in it.
    """

    def __init__(self, tell: Tell, folder: Path, base: Path) -> None:
        self._tell, self._folder, self._base = tell, folder, base
        self._saved_at: float | None = None
        self._lock = threading.Lock()
        self._held: list[Line] | None = None
        """What is told once a patch is: the code that it brings may fail before the call that brings it has ended."""
        self._told: str | None = None
        self._again = 0

    @contextmanager
    def patching(self, saved_at: float | None) -> Iterator[None]:
        """Tell of a patch before what comes of it.

        Args:
            saved_at: when the files were saved that are being patched, in seconds since 1970; None if nobody knows.
        """
        self._saved_at = saved_at
        with self._lock:
            self._held = []
        try:
            yield
        finally:
            with self._lock:
                for line in self._held:
                    self._tell(line)
                self._held = None

    def event_inline(self, event: Event) -> None:
        """Tell of what happened."""
        where = event.module or ""
        if event.version is not None:
            where = f"{where}@{event.version}"
        match event.kind:
            case EventKind.FAULT:
                self._fault(where, event)
            case EventKind.PAUSED:
                self._say(Line(Tone.TROUBLE, "paused", f"{where}: {PAUSED}"))
            case EventKind.VERSION_PATCHED:
                self._other_code()
                self._patched(event)
            case EventKind.RESUMED:
                self._other_code()
                self._say(Line(Tone.GOOD, "goes on", f"{where}: from the state it was paused with"))
            case EventKind.RESTARTED if not self._again:
                self._say(Line(Tone.NOTE, "restarted", f"{where}: the same code anew, from the last good tick"))
            case EventKind.ROLLED_BACK | EventKind.LOAD_FAILED | EventKind.CONFIG_REFUSED | EventKind.PLUGIN_FAILED:
                self._tell(self._trouble(where, event))
            case EventKind.CONFIG_UPDATED:
                self._tell(Line(Tone.GOOD, "config", f"{where}: {_details(event.details)}"))
            case EventKind.WORKER_OUTPUT if text := str(event.details.get("text", "")).strip("\n"):
                self._say(Line(Tone.OUTPUT, "printed", where, text))

    def close(self) -> None:
        """See `Sink`; there is nothing left."""

    def _say(self, line: Line) -> None:
        """Tell now, or once the patch that is on was told of."""
        with self._lock:
            if self._held is not None:
                self._held.append(line)
                return
        self._tell(line)

    def _other_code(self) -> None:
        """Take the next fault for another one."""
        self._told, self._again = None, 0

    def _patched(self, event: Event) -> None:
        details = event.details
        source = "" if details["source"] == str(event.version) else f"{details['source']} -> "
        since = None if self._saved_at is None else (time.time() - self._saved_at) * 1000
        after = "" if since is None else f", {since:,.0f} ms after it was saved"
        text = (
            f"{event.module}@{source}{event.version} in {details['ms']:,.0f} ms{after}; a tick waited "
            f"{details['pause_ms']:.1f} ms at most; {details['entities']:,} entities kept"
        )
        self._tell(Line(Tone.GOOD, "patched", text))

    def _trouble(self, where: str, event: Event) -> Line:
        error, traceback = split_traceback(str(event.details.get("error") or ""))
        below = in_sources(authors_part(traceback), self._folder, self._base)
        return Line(Tone.TROUBLE, event.kind.value, f"{where}: {_details({**event.details, 'error': error})}", below)

    def _fault(self, where: str, event: Event) -> None:
        message, traceback = (str(event.details.get(name) or "") for name in ("message", "traceback"))
        if self._told == message:
            self._again += 1
            return
        self._told, self._again = message, 0
        kind = str(event.details.get("fault"))
        text = f"{where} in tick {event.details.get('tick')} ({kind}): {message.splitlines()[0] if message else ''}"
        self._say(Line(Tone.TROUBLE, "fault", text, in_sources(authors_part(traceback), self._folder, self._base)))


def _details(details: Mapping[str, object]) -> str:
    told = {name: each for name, each in details.items() if each not in (None, "", {}, [], ())}
    return ", ".join(f"{name}={each}" for name, each in told.items())
