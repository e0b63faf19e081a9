"""Folders for temporary files that end with their engine: by itself, or by the next engine if it was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from grove_core.base.interrupts import put_off

CLAIMED = "grove-copy-"
"""What the names of folders begin with that were locked before they got this name; nothing else is ever swept."""


def folder_prefix() -> str:
    """Return what the names of this process's folders begin with, in the folder for temporary files."""
    return f"{CLAIMED}{os.getpid()}-"


@dataclass(frozen=True)
class Claim:
    """A folder of an engine's own, locked as long as the engine lives.

    The system takes the lock away when the process has ended, however it ended: who can lock the folder then knows
    that nobody needs it. A process id would not tell, since numbers come again and containers count for themselves.
    """

    folder: Path
    lock: int
    """The descriptor that holds the lock."""

    @classmethod
    def make(cls) -> Self:
        """Make an empty folder and lock it. Where the file system knows no locks, it keeps a name that is not swept.

        Raises:
            OSError: the system refuses.
        """
        made, lock = None, -1
        try:
            made = Path(tempfile.mkdtemp(prefix=f"grove-{os.getpid()}-")).resolve()
            lock = _open(made)
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                made = made.rename(made.with_name(folder_prefix() + made.name.rpartition("-")[2]))
            return cls(made, lock)
        except BaseException:
            if lock >= 0:
                os.close(lock)
            if made is not None:
                with contextlib.suppress(OSError):
                    made.rmdir()
            raise

    def remove(self) -> None:
        """Remove the folder, and let go of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock)


def sweep() -> int:
    """Remove what engines left that were killed, nothing of those that live; return how many folders."""
    return sum(_swept(folder) for folder in Path(tempfile.gettempdir()).glob(f"{CLAIMED}*"))


@put_off()
def _swept(folder: Path) -> bool:
    """Remove a folder, if that is to be done; what is opened for it is closed, whatever strikes."""
    with contextlib.suppress(OSError):  # it is locked, not ours, or somebody else removed it meanwhile
        lock = _open(folder)
        try:
            if os.fstat(lock).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                return True
        finally:
            os.close(lock)
    return False


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
