"""Erlang/OTP, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.figures import Samples, Who
from benchmarks.measuring import Box

SCRIPT = Path(__file__).parent.parent / "erlang" / "rival.erl"
LIMIT_SECONDS = 300.0


class Work(StrEnum):
    """What rival.erl can do."""

    TICK = "tick"
    MOVE = "move"
    MIGRATE = "migrate"
    RESTORE = "restore"
    """After a kill, until another process has the state again."""
    RESTART = "restart"
    """The same, until that process has ticked."""


@dataclass(frozen=True)
class Erlang:
    """An installed Erlang."""

    escript: str
    release: str

    @classmethod
    def find(cls) -> Self | None:
        """Look for it on PATH."""
        escript = shutil.which("escript")
        return None if escript is None else cls(escript, _run(escript, "release").strip())

    def samples(self, work: Work, entities: int, box: Box) -> dict[Who, Samples]:
        """Have it do some work, in both of its ways; milliseconds.

        Raises:
            RuntimeError, subprocess.TimeoutExpired: it failed, or took far too long.
        """
        told = _run(
            self.escript, work.value, str(entities), str(int(box.seconds * 1000)), str(box.least), str(box.most)
        )
        lines = (line.split() for line in told.splitlines())
        return {Who(f"erlang {way}"): np.array(runs, np.float64) / 1e6 for way, *runs in lines}


def _run(escript: str, *arguments: str) -> str:
    ran = subprocess.run(  # noqa: S603  our own script, by an interpreter found on PATH
        [escript, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"rival.erl {' '.join(arguments)} failed: {ran.stdout} {ran.stderr}")
    return ran.stdout
