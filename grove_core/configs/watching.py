"""Seeing that a settings file has changed, without a thread, and never while it is being written."""

from __future__ import annotations

import stat
from pathlib import Path

from grove_core.base.configs import Config
from grove_core.base.errors import SettingsError
from grove_core.parts.settings import Settings

LOOK_SECONDS = 1.0
"""How far apart looks at the file are, by the clock."""

Signature = tuple[int, int, int]
"""What tells one content of a file from another without reading it: inode, size, time of the last change in ns."""


class Watched:
    """A settings file, and the content of it that was last taken.

    What differs is read once two looks in a row find the same: so that what is half written is left alone.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._next = float("-inf")
        self._seen: Signature | None = None
        self._taken: Signature | None = None

    def read(self) -> dict[str, Config]:
        """Read the tables now, whatever was there before: module -> its config.

        Raises:
            SettingsError: the file cannot be read, or is not what settings are.
        """
        self._seen = self._taken = self._signature()
        return self._tables()

    def changed(self, now: float) -> dict[str, Config] | None:
        """Look, if it is time to, and return the tables if the file was changed, and rests; until it is `done`.

        Raises:
            SettingsError: it is changed to what cannot be read.
        """
        if now < self._next:
            return None
        self._next = now + LOOK_SECONDS
        before, self._seen = self._seen, self._signature()
        if self._seen == self._taken or self._seen != before:
            return None
        try:
            tables = self._tables()
        except SettingsError:
            if self._signature() == self._seen:
                raise
            return None  # it is being written just now
        return tables if self._signature() == self._seen else None

    def done(self) -> None:
        """Note that what it was changed to was dealt with, so that it is not read again."""
        self._taken = self._seen

    def _tables(self) -> dict[str, Config]:
        """Read the tables. A pipe is not read: it could keep a tick waiting for ever.

        Raises:
            SettingsError: the file cannot be read, is none, or is not what settings are.
        """
        try:
            regular = stat.S_ISREG(self.path.stat().st_mode)
        except OSError:
            regular = True  # reading it tells why
        if not regular:
            raise SettingsError(f"{self.path}: it is no regular file, and only such a one can be watched")
        return Settings.read(self.path).config

    def _signature(self) -> Signature | None:
        """Return None where there is no file that can be looked at."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
