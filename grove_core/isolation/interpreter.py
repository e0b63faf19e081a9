"""Fresh interpreters of ours: for a zygote, or for one worker by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

import grove_core

PRELOADED = tuple(Path(str(package.__file__)) for package in (grove_core, np, msgspec))


def start_interpreter(module: str, descriptors: Sequence[int], output: int | None = None) -> subprocess.Popen[bytes]:
    """Run a module of ours in a process and a session of its own, so that Ctrl-C reaches the engine alone.

    Args:
        module: what `python -m` runs; the numbers of the descriptors are its arguments.
        descriptors: those it gets, under the same numbers; it gets no others.
        output: where it prints to; None for where this process does.

    Raises:
        OSError: the system refuses.
    """
    return subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
        [sys.executable, "-P", "-m", module, *map(str, descriptors)],
        pass_fds=tuple(descriptors),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        env={
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
        },
    )


def signature() -> tuple[int, ...]:
    """Tell one state of the preloaded packages from another: what preloaded them must not outlive them."""
    return tuple(_modified(path) for path in PRELOADED)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1
