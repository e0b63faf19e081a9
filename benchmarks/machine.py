"""The facts about a machine that its figures depend on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.figures import Machine


def machine(erlang: str | None) -> Machine:
    """Look at this machine; `erlang` is the release of OTP that takes part, if one does."""
    return Machine(
        _cpu(),
        len(os.sched_getaffinity(0)),
        round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        platform.system(),
        platform.python_version(),
        version("numpy"),
        version("grove-core"),
        erlang,
        _version_or_none("numba"),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def _version_or_none(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
