"""What copies are made of: wheels, folders, source folders, and distributions that are installed."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Protocol

from grove_core.base.errors import BrokenPackage, UnknownModule
from grove_core.base.records import VersionRecord
from grove_core.parts import sources
from grove_core.parts.distributions import Files, files_of
from grove_core.parts.folders import (
    QUIET_SECONDS,
    Scan,
    copy,
    digest,
    freshest,
    hashes_of,
    is_compiled,
    is_of_no_package,
    refuse_changed,
    refuse_fresh,
    scan,
    vouched_for,
)
from grove_core.parts.wheels import is_wheel, unpack

RESTED_SECONDS = 1.0
"""What rested for so long is in nobody's hands; who begins to write it meanwhile is seen by the files' times."""
GLANCE_SECONDS = 0.02
"""How long those may be behind, and more: see `grove_core.parts.folders`."""


METADATA = "*.*-info"
"""The folders or files by which a distribution is known: .dist-info, .egg-info."""
GIVE = "give a wheel (.whl), a project's source, or a folder filled by `pip install --target`"


class Original(Protocol):
    """What a copy is made of. Two are equal when they are the same place, whatever lies there."""

    @property
    def given(self) -> Path:
        """Where it lies, to tell of."""
        ...

    def scan(self) -> Scan:
        """Return what is there now.

        Raises:
            UnsettledPackage, BrokenPackage: that cannot be told.
        """
        ...

    def copy(self, there: Scan, into: Path) -> str:
        """Copy what was scanned into an empty folder; return the digest of its contents.

        Raises:
            UnsettledPackage, BrokenPackage: it is not what was scanned any more, or not whole.
        """
        ...


@dataclass(frozen=True)
class Wheel:
    """A wheel, which is unpacked. It has checksums; one that is being written is not broken."""

    given: Path

    def scan(self) -> Scan:
        """See `Original`."""
        return scan(self.given)

    def copy(self, there: Scan, into: Path) -> str:
        """See `Original`."""
        try:
            unpack(self.given, into)
        except BrokenPackage:
            refuse_changed(self.given, there)
            refuse_fresh(self.given, there)
            raise
        return digest(hashes_of(into))


@dataclass(frozen=True)
class Folder:
    """A folder that an installer filled. What no RECORD vouches for is watched for a while."""

    given: Path

    def scan(self) -> Scan:
        """See `Original`. Whatever else a folder is, it is not copied to find that out.

        Raises:
            BrokenPackage: no distribution lies in it.
        """
        if not any(self.given.glob(METADATA)):
            refuse_fresh(self.given, scan(self.given, left_out=lambda _: True))  # an installer writes it last
            raise BrokenPackage(
                f"no package is installed in {self.given}, and it is no project's source: it has neither a .dist-info "
                f"nor {sources.PROJECT}; {GIVE}"
            )
        return scan(self.given)

    def copy(self, there: Scan, into: Path) -> str:
        """See `Original`."""
        began = time.monotonic()
        hashes = copy(self.given, there, into)
        refuse_changed(self.given, there)
        refuse_fresh(self.given, there)  # also a package that is not there may be on its way
        if not vouched_for(self.given, into, hashes):
            _watch(self, there, began)
        return digest(hashes)


@dataclass(frozen=True)
class SourceFolder:
    """A project's source: its import packages are copied, and metadata is written beside them as a build would."""

    given: Path

    @property
    def base(self) -> Path:
        """The folder that its packages lie in.

        Raises:
            BrokenPackage: pyproject.toml does not say it plainly.
        """
        return sources.read(self.given).layout.base

    def scan(self) -> Scan:
        """See `Original`."""
        project = scan(self.given, (sources.PROJECT,))
        try:
            layout = sources.read(self.given).layout
        except BrokenPackage:
            refuse_fresh(self.given, project)  # it may be half written
            raise
        return (*project, *scan(layout.base, layout.names, is_of_no_package))

    def copy(self, there: Scan, into: Path) -> str:
        """See `Original`."""
        began = time.monotonic()
        source = sources.read(self.given)
        hashes = copy(source.layout.base, there[1:], into)
        for name, text in source.metadata.items():
            (into / name).parent.mkdir(exist_ok=True)
            (into / name).write_text(text, "utf-8")
            hashes[name] = hashlib.sha256(text.encode()).digest()
        refuse_fresh(self.given, there)
        _watch(self, there, began)
        return digest(hashes)


@dataclass(frozen=True)
class Installed:
    """The distribution of a version that is installed: its own files, not those of what it depends on."""

    given: Path
    files: Files

    def scan(self) -> Scan:
        """See `Original`."""
        return tuple(entry for entries in self._scans() for entry in entries)

    def copy(self, there: Scan, into: Path) -> str:
        """See `Original`. What its RECORD vouches for is what was installed, however fresh it is."""
        began, hashes = time.monotonic(), dict[str, bytes]()
        for part, entries in zip(self.files.parts, self._scans(), strict=True):
            hashes |= copy(part.folder, entries, into)
            if self.files.recorded:
                _take_compiled(part.folder, entries, into)
        refuse_changed(self.given, there, self.scan())
        if not (self.files.recorded and vouched_for(self.given, into, hashes)):
            refuse_fresh(self.given, there)
            _watch(self, there, began, GLANCE_SECONDS if freshest(there, RESTED_SECONDS) is None else QUIET_SECONDS)
        return digest(hashes)

    def _scans(self) -> list[Scan]:
        left_out = is_compiled if self.files.recorded else is_of_no_package
        return [scan(part.folder, part.names, left_out) for part in self.files.parts]


def installed(record: VersionRecord) -> Installed | None:
    """Return the distribution of a version; None where its code cannot be found in files.

    Raises:
        UnsettledPackage: its RECORD cannot be read.
    """
    files = files_of(record)
    return None if files is None else Installed(Path(record.location), files)


def original_of(given: Path) -> Original:
    """Return what a path leads to.

    Raises:
        UnknownModule: there is no such file or folder.
    """
    # Not Path.is_file and is_dir, which raise for a name that is too long, or where nobody may look.
    if is_wheel(given):
        if not os.path.isfile(given):  # noqa: PTH113
            raise UnknownModule(f"there is no wheel {given}")
        return Wheel(given)
    if not os.path.isdir(given):  # noqa: PTH112
        raise UnknownModule(
            f"{given} is neither a wheel (.whl) nor a folder: a project's source, or one filled by "
            f"`pip install --target`"
        )
    return SourceFolder(given) if sources.is_source(given) else Folder(given)


def _watch(original: Original, there: Scan, began: float, seconds: float = QUIET_SECONDS) -> None:
    """Wait until nothing has changed for a while since the copying began.

    Raises:
        UnsettledPackage: something did.
    """
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    refuse_changed(original.given, there, original.scan())


def _take_compiled(folder: Path, entries: Scan, into: Path) -> None:
    """Take along what Python compiled of these files: it goes by the times of its sources, and so they take these over.

    Without it a large package would be compiled anew with each engine. It is Python that tells whether it fits.
    """
    for entry in entries:
        if entry.name.endswith(".py"):
            os.utime(into / entry.name, ns=(entry.mtime_ns, entry.mtime_ns))
            source, target = (Path(cache_from_source(str(each / entry.name))) for each in (folder, into))
            try:
                contents = source.read_bytes()
            except OSError:  # there is none, or it cannot be read
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents)
