"""Seeing that the files of a version were saved: by their times, and by what is in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from grove_core.base.errors import BrokenPackage, UnknownModule, UnsettledPackage
from grove_core.parts.sources import PROJECT
from grove_core.runtime.copies.originals import SourceFolder, original_of

Files = frozenset[tuple[str, int, int, int]]
"""Each file's name, inode, size and time of the last change in ns. An editor that puts another file in its place has
another inode; folders are left out, since editors put files of their own there."""


@dataclass(frozen=True)
class Look:
    """What there was at one look."""

    files: Files
    problem: str = ""
    """Why the files cannot be told, where the project does not say plainly which they are, or is not there."""

    @property
    def newest(self) -> float:
        """When the last of them was saved, in seconds since 1970; 0 if there are none."""
        return max((changed for _, _, _, changed in self.files), default=0) / 1e9


class Saves:
    """The files of a version in a folder.

    Args:
        folder: a project's source, or a folder that an installer filled.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def look(self) -> Look | None:
        """Return what is there now; None while it is being written."""
        try:
            entries = original_of(self.folder).scan()
        except UnsettledPackage:
            return None
        except (BrokenPackage, UnknownModule) as error:  # a folder that is gone may come back, as with git
            return Look(_project(self.folder), error.message)
        return Look(frozenset((e.name, e.inode, e.size, e.mtime_ns) for e in entries if not e.is_folder))

    def contents(self, look: Look) -> str | None:
        """Return a digest of what was in the files at a look; None if they are others by now."""
        together = hashlib.sha256(look.problem.encode())
        try:
            base = self.folder if look.problem else self.base()
            for name, *_ in sorted(look.files):
                folder = self.folder if name == PROJECT else base
                together.update(hashlib.sha256(name.encode()).digest())
                together.update(hashlib.sha256((folder / name).read_bytes()).digest())
        except (OSError, BrokenPackage):
            return None
        return together.hexdigest() if self.look() == look else None

    def base(self) -> Path:
        """Return the folder that the packages lie in.

        Raises:
            BrokenPackage: the project does not say it plainly.
        """
        return SourceFolder(self.folder).base if isinstance(original_of(self.folder), SourceFolder) else self.folder


def _project(folder: Path) -> Files:
    """Return what is said of a pyproject.toml; nothing where there is none."""
    try:
        found = (folder / PROJECT).stat()
    except OSError:
        return frozenset()
    return frozenset({(PROJECT, found.st_ino, found.st_size, found.st_mtime_ns)})
