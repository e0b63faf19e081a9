"""The code that versions run from: a copy of the engine's own, made of what is installed, or given by path.

So what somebody writes there meanwhile runs in no version that is loaded, nor in one that is restarted.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from grove_core.base.errors import BrokenPackage, PackageError, UnsettledPackage
from grove_core.base.interrupts import put_off
from grove_core.base.records import VersionRecord
from grove_core.parts.discovery import records_in
from grove_core.parts.folders import Scan, freshest
from grove_core.runtime.copies.claims import Claim, sweep
from grove_core.runtime.copies.originals import Original, installed, original_of

SETTLE_SECONDS = 1.0
"""How long a load waits for a package that is being written."""
AGAIN_SECONDS = 0.01
OURS = "grove_core"
"""What every worker has imported before a version comes: a copy of it would not be run."""


@dataclass(frozen=True)
class _Copy:
    claim: Claim
    contents: str | None
    """The digest of what it holds; None while it is being removed."""


class Packages:
    """The copies of one engine: of wheels, folders and installed distributions, by their contents.

    The system locks each for the engine. What engines left that were killed goes as the next one starts.
    """

    def __init__(self) -> None:
        self._copies: dict[Path, _Copy] = {}
        """By their folders."""
        self._scanned: dict[tuple[Original, Scan], Path] = {}
        """What was given, as it was -> its copy."""
        self.swept = sweep()
        """How many copies there were of engines that are gone."""

    def records(self, path: str | Path) -> list[VersionRecord]:
        """Return the versions in a wheel or folder; they run from a copy.

        Raises:
            UnknownModule: there is no such file or folder.
            BrokenPackage: it cannot be read, or is a folder without any package.
            UnsettledPackage: it is being written, and that did not end within `SETTLE_SECONDS`.
        """
        given = Path(path).absolute()
        copied = self._settled(lambda: original_of(given))
        return [_told_of(record, copied, given) for record in records_in([str(copied)])]

    def own(self, record: VersionRecord) -> VersionRecord:
        """Return the same version running from a copy; as it is where it does, or is no distribution of its own.

        Raises:
            BrokenPackage: its files cannot be read.
            UnsettledPackage: they are being written, and that did not end within `SETTLE_SECONDS`.
        """
        is_copied = any(Path(folder) in self._copies for folder in record.path)
        if is_copied or not record.dist_info or record.entry_point.partition(":")[0].split(".")[0].strip() == OURS:
            return record
        try:
            copied = self._settled(lambda: installed(record))
        except PackageError as error:
            error.module, error.version = record.module, str(record.version)
            raise
        return record if copied is None else replace(record, path=(str(copied), *record.path))

    def keep(self, used: Iterable[tuple[str, ...]]) -> None:
        """Remove the copies that none of these search paths uses."""
        folders = {Path(folder) for path in used for folder in path}
        for folder in self._copies.keys() - folders:
            self._remove(folder)
        self._scanned = {key: folder for key, folder in self._scanned.items() if folder in self._copies}

    def contents(self, record: VersionRecord) -> str | None:
        """Return the digest of the copy that a version runs from; None where it is not known, or runs from none."""
        folders = {Path(folder) for folder in record.path}
        return next((copy.contents for folder, copy in self._copies.items() if folder in folders), None)

    def take(self, other: Packages) -> None:
        """Have the copies that another one made, which has none then. To do it twice is to do it once.

        Wherever it is struck, each copy is had by one of the two: whoever has it removes it.
        """
        scanned = {**self._scanned, **other._scanned}
        self._copies, other._copies = {**self._copies, **other._copies}, {}
        self._scanned, other._scanned = scanned, {}

    def close(self) -> None:
        """Remove every copy."""
        self.keep(())

    @overload
    def _settled(self, find: Callable[[], Original]) -> Path: ...
    @overload
    def _settled(self, find: Callable[[], Original | None]) -> Path | None: ...
    def _settled(self, find: Callable[[], Original | None]) -> Path | None:
        """Return the copy of what is found once nobody writes it; None if there is nothing to copy."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                original = find()
                return None if original is None else self._copy(original)
            except UnsettledPackage:
                if time.monotonic() >= end:
                    raise
            time.sleep(AGAIN_SECONDS)

    def _copy(self, original: Original) -> Path:
        """Return a copy of what is there at one moment: the one there is, if it is the same as then.

        Raises:
            UnsettledPackage, BrokenPackage: there is no such moment now; nothing is left of the attempt.
        """
        there = original.scan()
        if (known := self._scanned.get((original, there))) is not None:
            return known
        claim: Claim | None = None
        try:
            with put_off():  # a folder that is being made cannot be removed yet
                claim = Claim.make()
            folder = claim.folder
            contents = original.copy(there, folder)
            same = self._copy_of(contents)
            self._copies[folder] = _Copy(claim, contents)
        except BaseException as error:
            if claim is not None:
                self._copies[claim.folder] = _Copy(claim, None)
                self._remove(claim.folder)
            if isinstance(error, OSError):
                raise BrokenPackage(
                    f"{original.given} cannot be copied into {tempfile.gettempdir()}, the folder for temporary files "
                    f"(TMPDIR): {error}"
                ) from error
            raise
        if same is not None:
            self._remove(folder)
            folder = same
        self._scanned = {key: each for key, each in self._scanned.items() if key[0] != original}
        if freshest(there) is None:  # what changed only just now may change again, and look the same
            self._scanned[original, there] = folder
        return folder

    @put_off()
    def _remove(self, folder: Path) -> None:
        self._copies.pop(folder).claim.remove()

    def _copy_of(self, contents: str) -> Path | None:
        """Return the copy that holds this, by its digest."""
        return next((folder for folder, copy in self._copies.items() if copy.contents == contents), None)


def _told_of(record: VersionRecord, copied: Path, given: Path) -> VersionRecord:
    """Have a record tell of what was given; only its path leads to the copy."""

    def told(text: str) -> str:
        return text.replace(str(copied), str(given))

    return replace(record, location=told(record.location), error=None if record.error is None else told(record.error))
