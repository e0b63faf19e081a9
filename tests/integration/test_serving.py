"""`grove run`: a fixed rate, missed frames told, a clean end by a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grove_core.serving.loop import Loop

from .conftest import OpenEngine, all_gone
from .sources import BOTH, MODULE, version

SLOW = version("stop = time.perf_counter() + 0.05\nwhile time.perf_counter() < stop: pass", schema='n="i8"')


def test_frames_whose_time_has_passed_are_missed_and_those_that_come_are_whole(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": SLOW})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=np.zeros(3, np.int64))
    report = Loop(engine, rate=100.0).run(ticks=5)
    assert report.ticks == 5
    assert report.missed >= 4 * 4, "each tick takes five frames"
    assert report.p50_ms is not None and report.p50_ms >= 50
    assert "frames missed" in str(report)


def test_every_tick_advances_by_one_frame(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=0.0, n=[0, 0])
    report = Loop(engine, rate=50.0).run(ticks=10)
    assert engine.entities(MODULE)["x"].tolist() == pytest.approx([0.2, 0.2])
    assert (report.ticks, report.faults) == (10, 0)
    assert report.seconds >= 9 * 0.02


def test_it_is_stopped_from_another_thread(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    loop = Loop(engine, rate=0.001)
    thread = threading.Thread(target=loop.run)
    thread.start()
    loop.stop()
    thread.join(20)
    assert not thread.is_alive(), "it does not wait for a frame that is due in a thousand seconds"


@pytest.fixture
def program(package: Any, tmp_path: Path, ways_in_toml: str) -> Path:
    """A folder with a settings file and a program, whose plugin finds the versions of `counter`."""
    folders = [str(package(MODULE, number, source)) for number, source in BOTH.items()]
    (tmp_path / "grove.toml").write_text(
        f"[grove]\n{ways_in_toml}[grove.run]\nmodules = {{gamelogic = '1'}}\nsetup = 'mine.start:setup'\nrate = 200\n"
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "start.py").write_text(
        textwrap.dedent(
            f"""
            def setup(engine):
                engine.load_module_version({MODULE!r}, 1, path={folders[0]!r})
                engine.spawn({MODULE!r}, n=[1, 2, 3])
                print("ready", *(pid for pid in [__import__("os").getpid()]), flush=True)
            """
        )
    )
    return tmp_path


@pytest.mark.needs(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(program: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", "from grove_core.cli.main import main; main()", "run", "grove.toml"]
    with subprocess.Popen(
        command, cwd=program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if line.startswith("ready"):
                break
        children = [int(each) for each in _children(process.pid)]
        assert children
        os.kill(process.pid, number)
        assert process.wait(60) == 0
        assert "ticks in" in process.stderr.read()
    assert all_gone(children)


@pytest.mark.needs(1)
def test_configs_that_change_in_its_file_are_taken_over(program: Path) -> None:
    command = [sys.executable, "-c", "from grove_core.cli.main import main; main()", "run", "grove.toml"]
    with subprocess.Popen(
        command, cwd=program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready"):
                with (program / "grove.toml").open("a") as file:
                    file.write(f"[grove.config.{MODULE}]\nspeed = 3\n")
            if "config_updated" in line:
                assert "speed" in line
                os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("", "no module is listed"),
        ("modules = {nowhere = 1}", "no version of it is installed"),
        ("modules = {gamelogic = 'x y'}", "run.modules.gamelogic: 'x y' is not a version"),
        ("modules = {gamelogic = 1}\nrate = 0", "run.rate must be above 0"),
        ("modules = {gamelogic = 1}\nsetup = 'nope'", "run.setup must be like package.module:function"),
        ("modules = {gamelogic = 1}\nrates = 3", "unknown field `rates`"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_runs(tmp_path: Path, run: str, told: str) -> None:
    (tmp_path / "grove.toml").write_text(f"[grove.run]\n{run}\n")
    command = [sys.executable, "-c", "from grove_core.cli.main import main; main()", "run"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode in {2, 3}, ran.stderr
    assert told in ran.stderr
