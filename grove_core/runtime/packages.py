"""Packages that are not installed: wheels, unpacked for as long as they are loaded, and folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from grove_core.base.errors import UnknownModule
from grove_core.base.records import VersionRecord
from grove_core.parts.discovery import records_in
from grove_core.parts.wheels import is_wheel, unpack


class Packages:
    """The folders of one engine's unpacked wheels."""

    def __init__(self) -> None:
        self._unpacked: list[Path] = []

    def records(self, path: str | Path) -> list[VersionRecord]:
        """Return the versions in a wheel or folder.

        Raises:
            UnknownModule: there is no such file or folder.
            BrokenPackage: the wheel cannot be read.
        """
        given = Path(path).absolute()
        # Not Path.is_file and is_dir, which raise for a name that is too long, or where nobody may look.
        if is_wheel(given):
            if not os.path.isfile(given):  # noqa: PTH113
                raise UnknownModule(f"there is no wheel {given}")
            return records_in([str(self._unpack(given))])
        if not os.path.isdir(given):  # noqa: PTH112
            raise UnknownModule(f"{given} is neither a wheel (.whl) nor a folder filled by `pip install --target`")
        return records_in([str(given)])

    def keep(self, used: Iterable[tuple[str, ...]]) -> None:
        """Remove what was unpacked and is not used by any of these search paths."""
        folders = {Path(folder) for path in used for folder in path}
        for folder in self._unpacked:
            if folder not in folders:
                shutil.rmtree(folder, ignore_errors=True)
        self._unpacked = [folder for folder in self._unpacked if folder in folders]

    def close(self) -> None:
        """Remove everything that was unpacked."""
        self.keep(())

    def _unpack(self, wheel: Path) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="grove-"))
        self._unpacked.append(folder)
        unpack(wheel, folder)  # what fails here is removed with what no loaded version uses
        return folder
