"""A folder of packages as it was at one moment: copied, and refused while somebody writes it.

Where a distribution has a RECORD, the hashes in it tell for certain whether its files are those that were installed.

Of other files the system tells inode, size and times. What two looks show alike, with the copy between them, did not
change meanwhile, almost: the system counts a write before it is made, but a file that is being emptied is empty a few
milliseconds before its times say so. So nothing is trusted that changed less than `QUIET_SECONDS` ago, and what no
RECORD vouches for is watched for as long. That is all that can be known of files that are written one by one by
somebody who says nothing: a writer who rests for longer than that, halfway, cannot be told from one who is done.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grove_core.base.errors import BrokenPackage, UnsettledPackage

QUIET_SECONDS = 0.1
"""For how long nothing may have changed, and nothing may change."""
CHUNK = 1 << 20
COMPILED = "__pycache__"
"""Is not copied: it goes by the times of its sources, and is made anew."""


@dataclass(frozen=True)
class Entry:
    """A file or folder, and what the system says of it."""

    name: str
    """Relative, with slashes; that of what was scanned is empty."""
    is_folder: bool
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


Scan = tuple[Entry, ...]


def scan(root: Path) -> Scan:
    """List a folder with all that is in it, or a single file.

    Raises:
        UnsettledPackage: something vanished meanwhile.
        BrokenPackage: something is neither a file nor a folder, or cannot be looked at.
    """
    try:
        return tuple(_entries(root, "", ()))
    except FileNotFoundError as error:
        raise UnsettledPackage(
            f"{root} is being written: {error.filename} vanished; try again once it is done"
        ) from error
    except OSError as error:
        raise BrokenPackage(f"{root} cannot be read: {error}") from error


def refuse_fresh(root: Path, entries: Scan) -> None:
    """Refuse what changed only just now.

    Raises:
        UnsettledPackage: something did.
    """
    now = time.time_ns()
    quiet = QUIET_SECONDS * 1e9
    for entry in entries:
        if any(-quiet < now - changed < quiet for changed in (entry.mtime_ns, entry.ctime_ns)):
            raise UnsettledPackage(
                f"{root} is being written: {entry.name or 'it'} changed less than {QUIET_SECONDS:g} s ago; "
                f"try again once it is done"
            )


def refuse_changed(root: Path, entries: Scan) -> None:
    """Refuse what is not as it was when it was scanned.

    Raises:
        UnsettledPackage, BrokenPackage: see `scan`; something changed.
    """
    changed = {entry.name for entry in set(scan(root)) ^ set(entries)}
    if changed:
        raise UnsettledPackage(
            f"{root} is being written: {min(changed) or 'it'} changed while it was copied; try again once it is done"
        )


def copy(root: Path, entries: Scan, into: Path) -> dict[str, bytes]:
    """Copy a scanned folder into an empty one; return the SHA-256 of each file, by its name.

    Raises:
        UnsettledPackage: a file vanished meanwhile.
        BrokenPackage: one cannot be read.
    """
    hashes = {}
    try:
        for entry in entries:
            target = into / entry.name
            if entry.is_folder:
                target.mkdir(exist_ok=True)
            else:
                hashes[entry.name] = _copy_file(root / entry.name, target)
    except FileNotFoundError as error:
        raise UnsettledPackage(
            f"{root} is being written: {error.filename} vanished; try again once it is done"
        ) from error
    except OSError as error:
        raise BrokenPackage(f"{root} cannot be copied: {error}") from error
    return hashes


def digest(hashes: Mapping[str, bytes]) -> str:
    """Return what names these contents under these names."""
    together = hashlib.sha256()
    for name, each in sorted(hashes.items()):
        together.update(hashlib.sha256(os.fsencode(name)).digest() + each)
    return together.hexdigest()


def vouched_for(root: Path, copied: Path, hashes: Mapping[str, bytes]) -> bool:
    """Hold files against the RECORD of every distribution that has one; tell whether these give a hash of all of them.

    Args:
        root: what was copied, for messages.
        copied: the copy.
        hashes: of the files in it, by name.

    Raises:
        UnsettledPackage: a file is missing, or is not the one that was installed.
    """
    records = {name for name in hashes if _is_record(name)}
    left = hashes.keys() - records
    for record in sorted(records):
        for name, expected in _recorded(root, copied, record):
            if hashes.get(name) != expected:
                is_so = "is missing, which" if name not in hashes else "is not the one that"
                raise UnsettledPackage(
                    f"{root} is being written: {name} {is_so} {record} tells of. Try again once it is done; if nobody "
                    f"writes it, an installation broke off or files were changed by hand: install it anew, into an "
                    f"empty folder"
                )
            left.discard(name)
    return bool(records) and not left


def _entries(path: Path, name: str, above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
    found = path.stat()
    is_folder = stat.S_ISDIR(found.st_mode)
    if not is_folder and not stat.S_ISREG(found.st_mode):
        raise BrokenPackage(f"{path} is neither a file nor a folder; a package has nothing else")
    yield Entry(name, is_folder, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if not is_folder:
        return
    here = (found.st_dev, found.st_ino)
    if here in above:
        raise BrokenPackage(f"{path} is a link to a folder that it lies in")
    for child in sorted(path.iterdir()):
        if child.name != COMPILED:
            yield from _entries(child, f"{name}/{child.name}" if name else child.name, (*above, here))


def _copy_file(source: Path, target: Path) -> bytes:
    sha = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while chunk := reading.read(CHUNK):
            sha.update(chunk)
            writing.write(chunk)
    return sha.digest()


def _is_record(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return len(parts) == 2 and parts[0].endswith(".dist-info") and parts[1] == "RECORD"


def _recorded(root: Path, copied: Path, record: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a RECORD within the folder, and their SHA-256; the others' hashes are left out."""
    try:
        rows = list(csv.reader((copied / record).read_text("utf-8").splitlines()))
        for file, hashed, _ in filter(None, rows):  # a row with less was cut off
            name, (algorithm, _, encoded) = PurePosixPath(file), hashed.partition("=")
            outside = name.is_absolute() or ".." in name.parts or COMPILED in name.parts
            if algorithm == "sha256" and not outside:
                yield str(name), base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (csv.Error, ValueError) as error:
        raise UnsettledPackage(f"{root} is being written, or broken: {record} cannot be read: {error}") from error
