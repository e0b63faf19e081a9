"""Packages that are not installed: wheels and folders. What runs is a copy of the engine's own.

So what somebody writes into a folder meanwhile runs in no version that is loaded, nor in one that is restarted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from grove_core.base.errors import BrokenPackage, UnknownModule, UnsettledPackage
from grove_core.base.records import VersionRecord
from grove_core.parts.discovery import records_in
from grove_core.parts.folders import (
    QUIET_SECONDS,
    Scan,
    copy,
    digest,
    refuse_changed,
    refuse_fresh,
    scan,
    vouched_for,
)
from grove_core.parts.wheels import is_wheel, unpack
from grove_core.runtime.claims import Claim, sweep

SETTLE_SECONDS = 1.0
"""How long a load waits for a package that is being written."""
AGAIN_SECONDS = 0.01


@dataclass(frozen=True)
class _Copy:
    claim: Claim
    contents: str | None
    """The digest of what it holds; None for a wheel."""


class Packages:
    """The copies of one engine: of folders by their contents, of wheels what they unpack to.

    The system locks each for the engine. What engines left that were killed goes as the next one starts.
    """

    def __init__(self) -> None:
        self._copies: dict[Path, _Copy] = {}
        """By their folders."""
        self._scanned: dict[tuple[Path, Scan], Path] = {}
        """What was given, as it was -> its copy."""
        self.swept = sweep()
        """How many copies there were of engines that are gone."""

    def records(self, path: str | Path) -> list[VersionRecord]:
        """Return the versions in a wheel or folder; they run from a copy.

        Raises:
            UnknownModule: there is no such file or folder.
            BrokenPackage: it cannot be read.
            UnsettledPackage: it is being written, and that did not end within `SETTLE_SECONDS`.
        """
        given = Path(path).absolute()
        # Not Path.is_file and is_dir, which raise for a name that is too long, or where nobody may look.
        if is_wheel(given):
            if not os.path.isfile(given):  # noqa: PTH113
                raise UnknownModule(f"there is no wheel {given}")
        elif not os.path.isdir(given):  # noqa: PTH112
            raise UnknownModule(f"{given} is neither a wheel (.whl) nor a folder filled by `pip install --target`")
        copied = self._settled(given)
        return [_told_of(record, copied, given) for record in records_in([str(copied)])]

    def keep(self, used: Iterable[tuple[str, ...]]) -> None:
        """Remove the copies that none of these search paths uses."""
        folders = {Path(folder) for path in used for folder in path}
        for folder in self._copies.keys() - folders:
            self._copies.pop(folder).claim.remove()
        self._scanned = {key: folder for key, folder in self._scanned.items() if folder in self._copies}

    def contents(self, record: VersionRecord) -> str | None:
        """Return the digest of the copy that a version runs from; None where it is not known, or runs from none."""
        folders = {Path(folder) for folder in record.path}
        return next((copy.contents for folder, copy in self._copies.items() if folder in folders), None)

    def take(self, other: Packages) -> None:
        """Have the copies that another one made, which has none then. To do it twice is to do it once."""
        self._copies.update(other._copies)
        self._scanned.update(other._scanned)
        other._copies, other._scanned = {}, {}

    def close(self) -> None:
        """Remove every copy."""
        self.keep(())

    def _settled(self, given: Path) -> Path:
        """Return the copy of what is there once nobody writes it."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return self._copy(given)
            except UnsettledPackage:
                if time.monotonic() >= end:
                    raise
            time.sleep(AGAIN_SECONDS)

    def _copy(self, given: Path) -> Path:
        """Return a copy of what is there at one moment: the one there is, if it is the same as then.

        Raises:
            UnsettledPackage, BrokenPackage: there is no such moment now; nothing is left of the attempt.
        """
        there = scan(given)
        if (known := self._scanned.get((given, there))) is not None:
            return known
        claim = Claim.make()
        folder = claim.folder
        try:
            contents = _unpack(given, there, folder) if is_wheel(given) else _copy_folder(given, there, folder)
            same = None if contents is None else self._copy_of(contents)
        except BaseException:
            claim.remove()
            raise
        if same is not None:
            claim.remove()
            folder = same
        else:
            self._copies[folder] = _Copy(claim, contents)
        self._scanned = {key: each for key, each in self._scanned.items() if key[0] != given}
        self._scanned[given, there] = folder
        return folder

    def _copy_of(self, contents: str) -> Path | None:
        """Return the copy that holds this, by its digest."""
        return next((folder for folder, copy in self._copies.items() if copy.contents == contents), None)


def _copy_folder(given: Path, there: Scan, into: Path) -> str:
    """Copy a folder; return the digest. What no RECORD vouches for is watched for a while."""
    began = time.monotonic()
    hashes = copy(given, there, into)
    refuse_changed(given, there)
    refuse_fresh(given, there)  # also a package that is not there may be on its way
    if not vouched_for(given, into, hashes):
        time.sleep(max(0.0, began + QUIET_SECONDS - time.monotonic()))
        refuse_changed(given, there)
    return digest(hashes)


def _unpack(given: Path, there: Scan, into: Path) -> str | None:
    """Unpack a wheel, which has checksums and no digest. One that is being written is not broken."""
    try:
        unpack(given, into)
    except BrokenPackage:
        refuse_changed(given, there)
        refuse_fresh(given, there)
        raise
    return None


def _told_of(record: VersionRecord, copied: Path, given: Path) -> VersionRecord:
    """Have a record tell of what was given; only its path leads to the copy."""

    def told(text: str) -> str:
        return text.replace(str(copied), str(given))

    return replace(record, location=told(record.location), error=None if record.error is None else told(record.error))
