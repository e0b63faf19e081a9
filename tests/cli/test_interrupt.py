"""Ctrl-C ends a scenario at once, and everything that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # who was started in the background ignores it
from grove_core.cli.main import main
main(['scenario', 'coexistence', '--realtime'])
"""


def descendants(pid: int) -> set[int]:
    """Return the children of a process, and theirs."""
    try:
        children = {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):  # gone, or gone while it was read
        return set()
    return children.union(*map(descendants, children))


def until(holds: object, seconds: float = 60.0) -> bool:
    """Wait until something is true; tell whether it became so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


@pytest.mark.needs(1, 2, 3)
def test_an_interrupt_ends_the_command_with_130_and_leaves_no_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert until(lambda: len(descendants(running.pid)) >= 3), "the zygote, its spare and a worker"
            started = descendants(running.pid)
            os.kill(running.pid, signal.SIGINT)
            _, errors = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 130
    assert errors.strip() == "Interrupted."
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
