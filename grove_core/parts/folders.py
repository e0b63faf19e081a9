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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grove_core.base.errors import BrokenPackage, UnsettledPackage

QUIET_SECONDS = 0.1
"""For how long nothing may have changed, and nothing may change."""
CHUNK = 1 << 20
EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
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
    executable: int
    """The bits of its mode that let it be executed: a package may bring programs that it starts."""


Scan = tuple[Entry, ...]
EVERYTHING = ("",)


def is_compiled(name: str) -> bool:
    """Tell whether a file or folder of this name is Python's own."""
    return name == COMPILED


def is_of_no_package(name: str) -> bool:
    """Tell whether a file or folder of this name is none that is imported: what editors and tools leave in sources."""
    return name == COMPILED or name.startswith(".") or name.endswith("~")


def scan(root: Path, names: Iterable[str] = EVERYTHING, left_out: Callable[[str], bool] = is_compiled) -> Scan:
    """List a folder with all that is in it, or a single file.

    Args:
        root: the folder, or the file.
        names: what of it, each with all that is in it.
        left_out: tells by its name what of that is left out.

    Raises:
        UnsettledPackage: something vanished meanwhile.
        BrokenPackage: something is neither a file nor a folder, or cannot be looked at.
    """
    try:
        return tuple(entry for name in names for entry in _entries(root / name, name, (), left_out))
    except FileNotFoundError as error:
        raise UnsettledPackage(
            f"{root} is being written: {error.filename} vanished; try again once it is done"
        ) from error
    except OSError as error:
        raise BrokenPackage(f"{root} cannot be read: {error}") from error


def freshest(entries: Scan, within: float = QUIET_SECONDS) -> Entry | None:
    """Return what changed only just now, within so many seconds; None if all of it rests."""
    now = time.time_ns()
    quiet = within * 1e9
    for entry in entries:
        if any(-quiet < now - changed < quiet for changed in (entry.mtime_ns, entry.ctime_ns)):
            return entry
    return None


def refuse_fresh(root: Path, entries: Scan) -> None:
    """Refuse what changed only just now.

    Raises:
        UnsettledPackage: something did.
    """
    if (entry := freshest(entries)) is not None:
        raise UnsettledPackage(
            f"{root} is being written: {entry.name or 'it'} changed less than {QUIET_SECONDS:g} s ago; "
            f"try again once it is done"
        )


def refuse_changed(root: Path, entries: Scan, now: Scan | None = None) -> None:
    """Refuse what is not as it was when it was scanned.

    Args:
        root: what was scanned.
        entries: as it was.
        now: as it is; None: all of the folder.

    Raises:
        UnsettledPackage, BrokenPackage: see `scan`; something changed.
    """
    changed = {entry.name for entry in set(scan(root) if now is None else now) ^ set(entries)}
    if changed:
        raise UnsettledPackage(
            f"{root} is being written: {min(changed) or 'it'} changed while it was copied; try again once it is done"
        )


def copy(root: Path, entries: Scan, into: Path) -> dict[str, bytes]:
    """Copy what was scanned of a folder into another one; return the SHA-256 of each file, by its name.

    Raises:
        UnsettledPackage: a file vanished meanwhile.
        BrokenPackage: one cannot be read.
    """
    hashes: dict[str, bytes] = {}
    made: set[Path] = {into}
    try:
        for entry in entries:
            target = into / entry.name
            folder = target if entry.is_folder else target.parent
            if folder not in made:
                folder.mkdir(parents=True, exist_ok=True)
                made.add(folder)
            if not entry.is_folder:
                copy_file = _copy_small_file if entry.size <= CHUNK else _copy_file
                hashes[entry.name] = copy_file(root / entry.name, target)
                if entry.executable:
                    target.chmod(target.stat().st_mode | entry.executable)
    except FileNotFoundError as error:
        raise UnsettledPackage(
            f"{root} is being written: {error.filename} vanished; try again once it is done"
        ) from error
    except OSError as error:
        raise BrokenPackage(
            f"{root} cannot be copied into {into.parent}, the folder for temporary files (TMPDIR): {error}"
        ) from error
    return hashes


def hashes_of(root: Path) -> dict[str, bytes]:
    """Return the SHA-256 of each file in a folder that nobody else writes, by its name."""
    hashes: dict[str, bytes] = {}
    for entry in scan(root):
        if not entry.is_folder:
            with (root / entry.name).open("rb") as file:
                hashes[entry.name] = hashlib.file_digest(file, "sha256").digest()
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
        for name, expected in recorded(root, copied / record).items():
            if expected is None:
                continue
            if hashes.get(name) != expected:
                is_so = "is missing, which" if name not in hashes else "is not the one that"
                raise UnsettledPackage(
                    f"{root} is being written: {name} {is_so} {record} tells of. Try again once it is done; if nobody "
                    f"writes it, an installation broke off or files were changed by hand: install it anew "
                    f"(`pip install --force-reinstall`, or into an empty folder)"
                )
            left.discard(name)
    return bool(records) and not left


def recorded(root: Path, record: Path) -> dict[str, bytes | None]:
    """Return the files within its folder that a RECORD tells of, and their SHA-256; None for those it has none of.

    What Python compiled is left out.

    Args:
        root: where it lies, for messages.
        record: the RECORD.

    Raises:
        UnsettledPackage: it cannot be read.
    """
    hashes: dict[str, bytes | None] = {}
    try:
        rows = list(csv.reader(record.read_text("utf-8").splitlines()))
        for file, hashed, _ in filter(None, rows):  # a row with less was cut off
            parts, (algorithm, _, encoded) = file.split("/"), hashed.partition("=")
            if parts[0] and ".." not in parts and COMPILED not in parts:
                known = algorithm == "sha256"
                name = "/".join(part for part in parts if part not in ("", "."))
                hashes[name] = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)) if known else None
    except (csv.Error, ValueError, OSError) as error:
        told = "/".join(record.parts[-2:])
        raise UnsettledPackage(f"{root} is being written, or broken: {told} cannot be read: {error}") from error
    return hashes


def _entries(
    path: Path, name: str, above: tuple[tuple[int, int], ...], left_out: Callable[[str], bool]
) -> Iterator[Entry]:
    try:
        found = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise BrokenPackage(f"{path} is a link that leads nowhere; remove it") from None
        raise
    is_folder = stat.S_ISDIR(found.st_mode)
    if not is_folder and not stat.S_ISREG(found.st_mode):
        raise BrokenPackage(f"{path} is neither a file nor a folder; a package has nothing else")
    executable = found.st_mode & EXECUTABLE
    yield Entry(name, is_folder, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, executable)
    if not is_folder:
        return
    here = (found.st_dev, found.st_ino)
    if here in above:
        raise BrokenPackage(f"{path} is a link to a folder that it lies in")
    for child in sorted(path.iterdir()):
        if not left_out(child.name):
            yield from _entries(child, f"{name}/{child.name}" if name else child.name, (*above, here), left_out)


def _copy_small_file(source: Path, target: Path) -> bytes:
    contents = source.read_bytes()
    target.write_bytes(contents)
    return hashlib.sha256(contents).digest()


def _copy_file(source: Path, target: Path) -> bytes:
    sha = hashlib.sha256()
    with source.open("rb", buffering=0) as reading, target.open("wb", buffering=0) as writing:
        while chunk := reading.read(CHUNK):
            sha.update(chunk)
            while chunk := chunk[writing.write(chunk) or 0 :]:
                pass
    return sha.digest()


def _is_record(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return len(parts) == 2 and parts[0].endswith(".dist-info") and parts[1] == "RECORD"
