"""The files of a distribution that is installed: by its RECORD, and where a RECORD does not have its code, where it is.

An editable installation has its code in a source folder. It is found by what the installer noted, else as an import
would find it; nothing is imported.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from grove_core.base.records import VersionRecord
from grove_core.parts import sources
from grove_core.parts.folders import recorded


@dataclass(frozen=True)
class Part:
    """Some of what a folder holds: files, or folders with all that is in them."""

    folder: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class Files:
    """What a distribution consists of."""

    parts: tuple[Part, ...]
    recorded: bool
    """Whether they are those of its RECORD."""


def files_of(record: VersionRecord) -> Files | None:
    """Return what a version's distribution consists of; None where its code cannot be found in files.

    Raises:
        UnsettledPackage: its RECORD cannot be read.
    """
    info = Path(record.dist_info)
    dotted = record.entry_point.partition(":")[0].strip().split(".")
    top = dotted[0]
    if (info / "RECORD").is_file():
        names = tuple(recorded(info.parent, info / "RECORD"))
        if any(name.startswith((f"{top}/", f"{top}.")) for name in names):
            return Files((Part(info.parent, names),), recorded=True)
    code = _edited(info, top) or _beside(info.parent, top) or _imported(dotted)
    return None if code is None else Files((code, Part(info.parent, (info.name,))), recorded=False)


def _edited(info: Path, top: str) -> Part | None:
    """Find the packages of an editable installation in the source folder that the installer noted."""
    try:
        noted = msgspec.json.decode((info / "direct_url.json").read_bytes(), type=dict[str, object])
        url = urlsplit(str(noted.get("url")))
        root = Path(unquote(url.path))
        how = noted.get("dir_info")
        edited = isinstance(how, dict) and how.get("editable") is True
        if not edited or url.scheme != "file" or not sources.is_source(root):
            return None
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    layout = sources.layout(root, top)
    return None if layout is None else Part(layout.base, layout.names)


def _beside(folder: Path, top: str) -> Part | None:
    """Find a package or module beside its metadata, where no RECORD tells of it."""
    name = next((name for name in (top, f"{top}.py") if (folder / name).exists()), None)
    return None if name is None else Part(folder, (name,))


def _imported(dotted: Sequence[str]) -> Part | None:
    """Find the package or module of a dotted path as an import would, by its first name: so nothing is imported."""
    top, inner = dotted[0], Path(*dotted[1:])
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for place in map(Path, () if spec is None else _places(spec)):
        has_it = len(dotted) == 1 or (place / inner).is_dir() or (place / inner).with_suffix(".py").is_file()
        if place.name in (top, f"{top}.py") and place.exists() and has_it:
            return Part(place.parent, (place.name,))
    return None


def _places(spec: importlib.machinery.ModuleSpec) -> Iterator[str]:
    """Yield the folders of a package, or the file of a module."""
    if spec.submodule_search_locations is not None:
        yield from spec.submodule_search_locations
    elif spec.origin is not None:
        yield spec.origin
