"""The watched `grove.toml`: a change is taken once it rests, by all modules that it speaks of, or by none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from grove_core import DebugEngine, ManualClock, Settings
from grove_core.base.errors import ConfigRefused, InvalidConfig, SettingsError
from grove_core.base.events import EventKind

from .conftest import PATIENT, OpenEngine
from .sources import MODULE
from .test_config import FREE, ONE, TAKES, TWO, speeds, taking, told

OTHER = "other"


class File:
    """A settings file, each content of it with a time of its own, as if seconds lay between."""

    def __init__(self, path: Path) -> None:
        self.path, self._at = path, 1_000_000_000

    def write(self, text: str) -> None:
        """Write it in place."""
        self.path.write_text(text, "utf-8")
        self._at += 1
        os.utime(self.path, (self._at, self._at))

    def replace(self, text: str) -> None:
        """Write another file, and move it to where this one was."""
        beside = self.path.with_name("beside")
        beside.write_text(text, "utf-8")
        os.utime(beside, (self._at, self._at))  # as old as the one before
        beside.replace(self.path)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "grove.toml")


def table(speed: object, module: str = MODULE, more: str = "") -> str:
    return f"[grove.config.{module}]\nspeed = {speed}\n{more}\n"


class Running:
    """An engine over two versions, watching a file, and the clock that it looks by."""

    def __init__(self, open_engine: OpenEngine, file: File, second: str = TAKES) -> None:
        self.clock = ManualClock()
        self.engine: DebugEngine = open_engine({"1.0.0": taking(lenses=""), "2.0.0": second}, clock=self.clock)
        self.engine.load_module_version(MODULE, 1)
        self.engine.spawn(MODULE, x=[0.0] * 4)
        self.engine.load_module_version(MODULE, 2)
        self.engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
        self.engine.config.watch(file.path)
        self.engine.tick(0.0)

    def look(self, times: int = 1) -> None:
        """Tick so often, a second apart."""
        for _ in range(times):
            self.clock.advance(1.0)
            self.engine.tick(0.0)

    @property
    def speeds(self) -> dict[Version, set[float]]:
        return speeds(self.engine)

    @property
    def refused(self) -> list[Mapping[str, Any]]:
        return told(self.engine, EventKind.CONFIG_REFUSED)


def test_a_file_is_taken_at_once_and_as_it_changes(open_engine: OpenEngine, file: File) -> None:
    file.write(table(2.0))
    running = Running(open_engine, file)
    assert running.speeds == {ONE: {2.0}, TWO: {2.0}}
    for write, speed in ((file.write, 3.0), (file.replace, 44.0), (file.write, 5.0)):
        write(table(speed))
        running.look(2)
        assert running.speeds == {ONE: {speed}, TWO: {speed}}
    assert {details["path"] for details in told(running.engine, EventKind.CONFIG_UPDATED)} == {str(file.path)}
    running.engine.config.unwatch()
    file.write(table(6.0))
    running.look(3)
    assert running.speeds == {ONE: {5.0}, TWO: {5.0}}


def test_what_is_being_written_is_left_alone(open_engine: OpenEngine, file: File) -> None:
    file.write(table(2.0))
    running = Running(open_engine, file)
    for text in ("", "[grove", table(3.0), table(4.0)):  # a second apart: it never rests
        file.write(text)
        running.look()
        assert running.speeds == {ONE: {2.0}, TWO: {2.0}}
    assert running.refused == []
    running.look()
    assert running.speeds == {ONE: {4.0}, TWO: {4.0}}


def test_it_is_looked_at_once_a_second(open_engine: OpenEngine, file: File) -> None:
    file.write(table(2.0))
    running = Running(open_engine, file)
    file.write(table(3.0))
    for _ in range(7):
        running.clock.advance(0.25)
        assert running.speeds == {ONE: {2.0}, TWO: {2.0}}, "the second look comes after 2 s"
    running.clock.advance(0.25)
    assert running.speeds == {ONE: {3.0}, TWO: {3.0}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[grove", ["Expected"]),
        ("[grove]\nsped = 1", ["sped"]),
        (f"[grove.config]\n{MODULE} = 1", ["object"]),
        (table(-1, more="names = [1]"), ["speed: Expected `float` >= 0.0", "names[0]: Expected `str`, got `int`"]),
        (table(3.0, more="more = 1"), ["more: there is no such key"]),
        ("#" * 20_000, ["16384 bytes"]),
        (None, ["No such file"]),
    ],
)
def test_what_does_not_fit_changes_nothing_and_is_told_once(
    open_engine: OpenEngine, file: File, text: str | None, words: list[str]
) -> None:
    file.write(table(2.0))
    running = Running(open_engine, file)
    if text is None:
        file.path.unlink()
    else:
        file.write(text)
    running.look(4)
    (details,) = running.refused
    assert [word for word in words if word not in details["reason"]] == []
    assert details["path"] == str(file.path)
    assert running.speeds == {ONE: {2.0}, TWO: {2.0}}
    assert running.engine.config.get(MODULE) == {"speed": 2.0}
    file.write(table(3.0))
    running.look(2)
    assert running.speeds == {ONE: {3.0}, TWO: {3.0}}, "it is still watched"


def test_a_version_that_raises_refuses_the_file(open_engine: OpenEngine, file: File) -> None:
    file.write(table(2.0))
    running = Running(open_engine, file, taking("if config.speed > 4: raise ValueError('too fast')"))
    file.write(table(5.0))
    running.look(4)
    assert ["too fast" in details["reason"] for details in running.refused] == [True]
    assert running.speeds == {ONE: {2.0}, TWO: {2.0}}


def test_two_modules_take_a_file_or_none_does(package: Any, installed: Any, isolation: Any, file: File) -> None:
    found = installed(package(MODULE, "1.0.0", taking(lenses="")), package(OTHER, "1.0.0", taking(lenses="")))
    clock = ManualClock()
    file.write(table(2.0) + table(3.0, OTHER))
    with DebugEngine(PATIENT, plugins=[found], clock=clock, isolation=isolation) as engine:
        engine.config.watch(file.path)
        for module in (MODULE, OTHER):
            engine.load_module_version(module, 1)
        assert [engine.config.get(module)["speed"] for module in (MODULE, OTHER)] == [2.0, 3.0]

        def take(text: str) -> list[object]:
            file.write(text)
            for _ in range(3):
                clock.advance(1.0)
                engine.tick(0.0)
            return [engine.config.get(module)["speed"] for module in (MODULE, OTHER)]

        assert take(table(4.0) + table(-5.0, OTHER)) == [2.0, 3.0]
        assert take(table(4.0) + table(5.0, OTHER)) == [4.0, 5.0]
        assert take(table(6.0, OTHER)) == [4.0, 6.0], "a module that the file does not name keeps what it has"
        engine.config.update(OTHER, {"speed": 7.0})
        assert take(table(8.0) + table(6.0, OTHER)) == [8.0, 7.0], "what did not change in the file is not taken again"


def test_a_file_that_does_not_fit_is_not_watched(open_engine: OpenEngine, file: File) -> None:
    file.write(table(2.0))
    running = Running(open_engine, file, taking("if config.speed > 4: raise ValueError('too fast')"))
    config, other = running.engine.config, File(file.path.with_name("other.toml"))
    cases = [(None, SettingsError), ("[", SettingsError), (table(-1), InvalidConfig), (table(5.0), ConfigRefused)]
    for text, error in cases:
        if text is not None:
            other.write(text)
        with pytest.raises(error):
            config.watch(other.path)
        assert running.speeds == {ONE: {2.0}, TWO: {2.0}}
    file.write(table(3.0))
    running.look(2)
    assert running.speeds == {ONE: {3.0}, TWO: {3.0}}, "the one before is watched as it was"


def test_settings_and_the_watched_file_are_one(open_engine: OpenEngine, file: File) -> None:
    """What the settings were read from changes nothing when it is watched afterwards."""
    file.write("[grove]\ntick_deadline_ms = 20000\n" + table(2.0))
    engine = open_engine({"1.0.0": FREE}, settings=Settings.read(file.path))
    engine.load_module_version(MODULE, 1)
    assert engine.config.get(MODULE) == {"speed": 2.0}
    engine.config.update(MODULE, {"speed": 3.0})
    engine.config.watch(file.path)
    assert engine.config.get(MODULE) == {"speed": 3.0}


def test_what_is_no_file_is_not_waited_for(open_engine: OpenEngine, file: File) -> None:
    file.write(table(2.0))
    running = Running(open_engine, file)
    file.path.unlink()
    os.mkfifo(file.path)  # nobody will ever write to it
    running.look(4)
    (details,) = running.refused
    assert "no regular file" in details["reason"]
    with pytest.raises(SettingsError, match="no regular file"):
        running.engine.config.watch(file.path)
    file.path.unlink()
    file.write(table(3.0))
    running.look(2)
    assert running.speeds == {ONE: {3.0}, TWO: {3.0}}
