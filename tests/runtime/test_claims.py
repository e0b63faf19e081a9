"""Folders that end with their engine: locked while it lives, swept by the next one when it was killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from grove_core import DebugEngine
from grove_core.base.events import EventKind
from grove_core.runtime.copies.claims import CLAIMED, Claim, folder_prefix, sweep

from ..striking import ctrl_c, places_of, strike

CLAIMS = """
import os, signal, sys
from grove_core.runtime.copies.claims import Claim
claim = Claim.make()
(claim.folder / "deep").mkdir()
(claim.folder / "deep" / "code.py").write_text("x = 1")
print(claim.folder, flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have temporary files in a folder of the test's own, also those of other processes."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that made a folder and lives, and the folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-c", CLAIMS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_folder_of_its_own(temporary: Path) -> None:
    claim = Claim.make()
    assert claim.folder.parent == temporary.resolve()
    assert claim.folder.name.startswith(folder_prefix())
    (claim.folder / "a").write_text("x")
    claim.remove()
    assert list(temporary.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(claim.lock)


def test_what_a_process_that_lives_has_is_not_swept(other: tuple[subprocess.Popen[str], Path]) -> None:
    own = Claim.make()
    assert sweep() == 0
    assert (other[1] / "deep/code.py").exists() and own.folder.exists()
    own.remove()


def test_what_a_process_that_was_killed_had_is_swept(
    other: tuple[subprocess.Popen[str], Path], temporary: Path
) -> None:
    process, folder = other
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert folder.exists()
    own = Claim.make()
    assert sweep() == 1
    assert list(temporary.iterdir()) == [own.folder]
    assert sweep() == 0
    own.remove()


def test_an_engine_sweeps_as_it_starts_and_says_so(other: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = other
    with DebugEngine() as engine:
        assert EventKind.COPIES_SWEPT not in [event.kind for event in engine.events]
    process.kill()
    process.wait()
    with DebugEngine() as engine:
        assert [event.details for event in engine.events if event.kind is EventKind.COPIES_SWEPT] == [{"folders": 1}]
    assert not folder.exists()


def test_what_was_never_locked_is_not_swept(temporary: Path) -> None:
    for name in ("grove-1-abcdefgh", "grove-data", "other"):
        (temporary / name).mkdir()
    (temporary / f"{CLAIMED}file").write_text("no folder")
    (temporary / "elsewhere").mkdir()
    (temporary / f"{CLAIMED}link").symlink_to(temporary / "elsewhere")
    before = sorted(temporary.rglob("*"))
    assert sweep() == 0
    assert sorted(temporary.rglob("*")) == before


def test_without_locks_a_folder_keeps_a_name_that_is_not_swept(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> NoReturn:
        raise OSError("no locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", no_locks)
        claim = Claim.make()
    assert sweep() == 0
    assert claim.folder.is_dir() and not claim.folder.name.startswith(CLAIMED)
    claim.remove()
    assert list(temporary.iterdir()) == []


def test_a_folder_that_cannot_be_locked_for_want_of_descriptors_leaves_nothing(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="too many"):
            Claim.make()
    assert list(temporary.iterdir()) == []


def test_a_sweep_that_is_interrupted_leaves_nothing_open(temporary: Path) -> None:
    before_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    live = Claim.make()
    try:
        before = sorted(Path("/proc/self/fd").iterdir())
        places = places_of(sweep)
        assert len(places) > 5
        for place, nth in places:
            strike(sweep, place, nth, ctrl_c)
            assert sorted(Path("/proc/self/fd").iterdir()) == before, place
        assert live.folder.is_dir(), "it is locked"
    finally:
        live.remove()
        signal.signal(signal.SIGINT, before_handler)
