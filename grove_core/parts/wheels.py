"""A version from a wheel: the archive is unpacked into a folder, for `path`; nothing is installed or run."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path, PurePosixPath

from grove_core.base.errors import BrokenPackage, GroveError
from grove_core.base.showing import brief
from grove_core.parts.folders import EXECUTABLE

LARGEST = 1 << 30
"""The most bytes that a wheel may have unpacked; deflated they may be a thousandth of it."""
MOST = 20_000
"""The most files that a wheel may have."""
DEEPEST = 50
"""The most folders that a file may lie in, within one another."""
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""How files of a wheel are compressed; others take as much memory as an archive asks for."""


def is_wheel(path: str | Path) -> bool:
    """Tell whether a path names a wheel: a file, not a folder, that ends in `.whl`."""
    return Path(path).suffix == ".whl" and not os.path.isdir(path)  # noqa: PTH112  Path.is_dir may raise


def unpack(path: str | Path, into: str | Path) -> None:
    """Unpack a wheel into a new or empty folder, which is removed again if the wheel is broken.

    Raises:
        BrokenPackage: it cannot be read, is no wheel, is too large, or would write outside the folder.
        FileExistsError: the folder holds something.
    """
    folder = Path(into)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} must be empty for the wheel {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            for place, member in _places(archive, str(path)).items():
                target = folder.joinpath(*place.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
                if executable := member.external_attr >> 16 & EXECUTABLE:
                    target.chmod(target.stat().st_mode | executable)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, GroveError) or not isinstance(error, Exception):
            raise
        if isinstance(error, OSError):  # such as a full disk
            raise BrokenPackage(f"the wheel {path} cannot be unpacked into {folder.parent}: {error}") from error
        # zipfile has an error of another kind for each way to be broken
        raise BrokenPackage(f"the wheel {path} cannot be unpacked: {error or type(error).__name__}") from error


def _places(archive: zipfile.ZipFile, wheel: str) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return what goes where; what a `.data` folder holds besides modules stays behind."""
    places: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        place = _place(member, wheel)
        if place is None:
            continue
        if place in places:
            raise BrokenPackage(f"the wheel {wheel} holds {brief(str(place))} twice")
        places[place] = member
    if not any(place.parts[0].endswith(".dist-info") for place in places):
        raise BrokenPackage(f"{wheel} is no wheel: it has no .dist-info")
    size = sum(member.file_size for member in places.values())
    if size > LARGEST or len(places) > MOST:
        raise BrokenPackage(
            f"the wheel {wheel} has {len(places)} files of {size} bytes; {MOST} of {LARGEST} are the most: "
            f"unpack it into a folder by `pip install --target`"
        )
    return places


def _place(member: zipfile.ZipInfo, wheel: str) -> PurePosixPath | None:
    """Return where a file goes, or None for what stays behind.

    Raises:
        BrokenPackage: it would lie outside the folder or too deep in it, or is compressed as in no wheel.
    """
    name, shown = PurePosixPath(member.filename), brief(member.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in member.filename or not name.parts:
        raise BrokenPackage(f"the wheel {wheel} would write outside its folder: {shown}")
    if len(name.parts) > DEEPEST:
        raise BrokenPackage(f"the wheel {wheel} holds a file in more than {DEEPEST} folders: {shown}")
    if member.is_dir():
        return None
    if member.compress_type not in METHODS:
        raise BrokenPackage(f"the wheel {wheel} holds a file that is neither stored nor deflated: {shown}")
    if not name.parts[0].endswith(".data"):
        return name
    inside = len(name.parts) > 2 and name.parts[1] in ("purelib", "platlib")
    return PurePosixPath(*name.parts[2:]) if inside else None
