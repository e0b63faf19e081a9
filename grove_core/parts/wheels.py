"""A version from a wheel: the archive is unpacked into a folder, for `path`; nothing is installed or run."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from grove_core.base.errors import BrokenPackage

UNPACKING = (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError)
"""What zipfile raises for what it cannot read; RuntimeError: encrypted, or compressed in no known way."""


def is_wheel(path: str | Path) -> bool:
    """Tell whether a path names a wheel: a file, not a folder, that ends in `.whl`."""
    return Path(path).suffix == ".whl" and not Path(path).is_dir()


def unpack(path: str | Path, into: str | Path) -> None:
    """Unpack a wheel into a new or empty folder, which is removed again if the wheel is broken.

    Raises:
        BrokenPackage: it cannot be read, is no wheel, or would write outside the folder.
        FileExistsError: the folder holds something.
    """
    folder = Path(into)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} must be empty for the wheel {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            for member, place in _places(archive, str(path)).items():
                target = folder.joinpath(*place.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
    except UNPACKING as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BrokenPackage(f"the wheel {path} cannot be unpacked: {error}") from error
    except BrokenPackage:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _places(archive: zipfile.ZipFile, wheel: str) -> dict[zipfile.ZipInfo, PurePosixPath]:
    """Return where each file goes; what a `.data` folder holds besides modules stays behind."""
    places: dict[zipfile.ZipInfo, PurePosixPath] = {}
    for member in archive.infolist():
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename or not name.parts:
            raise BrokenPackage(f"the wheel {wheel} would write outside its folder: {member.filename!r}")
        if member.is_dir():
            continue
        if not name.parts[0].endswith(".data"):
            places[member] = name
        elif len(name.parts) > 2 and name.parts[1] in ("purelib", "platlib"):
            places[member] = PurePosixPath(*name.parts[2:])
    if not any(place.parts[0].endswith(".dist-info") for place in places.values()):
        raise BrokenPackage(f"{wheel} is no wheel: it has no .dist-info")
    return places
