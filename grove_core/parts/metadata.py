"""Reading the metadata of distributions, any of which may be broken in any way; nothing is imported."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from importlib_metadata import Distribution, EntryPoint

MOST = 100
"""So many entry points one distribution may have in a group: all claims are held against each other."""


def unshadowed(path: Sequence[str] | None) -> Iterator[tuple[str, Distribution]]:
    """Yield each distribution in these folders once, with its folder; None stands for `sys.path`.

    As with an import, the first folder that has it wins. Two of one name in one folder are both yielded: an
    interrupted upgrade leaves them, and it is to be told.
    """
    owner: dict[str, str] = {}
    for folder in dict.fromkeys(_resolved(sys.path if path is None else path)):
        for found in Distribution.discover(path=[folder]):
            if owner.setdefault(normalized_name(found), folder) == folder:
                yield folder, found


def _resolved(path: Sequence[str]) -> Iterator[str]:
    """Yield what these folders are, without links; one that no path leads to holds nothing."""
    for each in path:
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle, up to 3.12
            yield str(Path(each).resolve())


def normalized_name(found: Distribution) -> str:
    """Return a distribution's name, as PEP 503 has it; that of its folder where nothing tells it."""
    try:
        # Private, but importlib_metadata's own way to do this: where the folder is called as it should be, it
        # reads no METADATA.
        return str(found._normalized_name)
    except Exception:  # it is called otherwise, and so METADATA was read, which may be broken in any way
        return PurePath(str(getattr(found, "_path", "unknown"))).name


def full_name(found: Distribution) -> str:
    """Return a distribution's name as METADATA has it, else the normalised one."""
    try:
        return str(found.metadata["Name"])
    except Exception:  # METADATA is missing, cannot be read, or has no Name
        return normalized_name(found)


def metadata_folder(found: Distribution) -> str:
    """Return the folder of a distribution's metadata; nothing where it is in no folder, but in an archive."""
    path = str(getattr(found, "_path", ""))  # private, and told by nothing else
    return path if path and Path(path).is_dir() else ""


def entries_of(found: Distribution, group: str) -> list[EntryPoint]:
    """Return a distribution's entry points in a group; only `entry_points.txt` is read.

    Raises:
        ValueError: it names the group, or may, and cannot be read; or it has too many.
    """
    where = f"entry_points.txt of {found.locate_file('')}"
    try:
        text = found.read_text("entry_points.txt") or ""
        entries = [entry for entry in found.entry_points if entry.group == group] if group in text else []
    except Exception as error:
        if isinstance(error, UnicodeDecodeError) and group.encode() not in error.object:
            return []
        raise ValueError(f"{where} cannot be read: {error}") from error
    if len(entries) > MOST:
        raise ValueError(f"{where} has {len(entries)} entry points in the group {group}; {MOST} are the most")
    return entries
