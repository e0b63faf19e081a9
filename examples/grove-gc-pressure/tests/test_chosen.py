"""The policy in an engine: chosen by a settings file, and of no effect until then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("grove_gc_pressure", reason="grove-gc-pressure is not installed")

from grove_core import ManualClock, MultiVersionEngine, Settings
from grove_core.base.errors import PluginFailed
from grove_core.base.events import EventKind
from grove_core.parts.plugins import Catalogue, PartKind, make_plugin_manager
from grove_core.testing import write_version

VERSIONS = [Version(f"{major}.0.0") for major in (1, 2, 3)]
ONE, TWO, THREE = VERSIONS
Start = Callable[..., MultiVersionEngine]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def start(tmp_path: Path, clock: ManualClock) -> Iterator[Start]:
    """`start(settings)`: an engine with three versions: the third has all the weight, the first is unused longest."""
    engines: list[MultiVersionEngine] = []

    def make(settings: Settings | None = None) -> MultiVersionEngine:
        engine = MultiVersionEngine(settings, clock=clock)
        engines.append(engine)
        for version in VERSIONS:
            written = write_version(tmp_path / str(len(engines)), "ledger", str(version))
            engine.load_module_version("ledger", version, path=str(written))
        engine.spawn("ledger", x=[1.0, 2.0])
        engine.set_traffic_split("ledger", {2: 1.0})
        clock.advance(5.0)
        engine.set_traffic_split("ledger", {3: 1.0})
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def chosen(tmp_path: Path, machine: Any) -> Settings:
    """What a `grove.toml` says that chooses the policy, for the machine of files."""
    file = tmp_path / "grove.toml"
    file.write_text(f'[grove]\ngc_policy = {{use = "pressure", above = 0.8, root = "{machine.root}"}}\n')
    return Settings.read(file)


def after_a_tick(engine: MultiVersionEngine) -> list[Version]:
    engine.tick(0.1)
    return engine.get_loaded_versions("ledger")


def test_it_is_there_once_it_is_installed() -> None:
    manager, records = make_plugin_manager()
    assert [record.error for record in records if record.distribution == "grove-gc-pressure"] == [None]
    assert Catalogue(manager).find(PartKind.GC_POLICY, "pressure").plugin == "grove-gc-pressure:pressure"


def test_unused_versions_go_one_by_one_while_memory_is_short(
    start: Start, chosen: Settings, machine: Any, clock: ManualClock
) -> None:
    engine = start(chosen)
    engine.enable_auto_gc("ledger", 10.0)
    clock.advance(100.0)
    assert after_a_tick(engine) == VERSIONS
    machine.meminfo(1000, 50)
    assert after_a_tick(engine) == [TWO, THREE]
    machine.meminfo(1000, 700)
    assert after_a_tick(engine) == [TWO, THREE], "one was enough"
    machine.meminfo(1000, 50)
    assert after_a_tick(engine) == [THREE]
    assert after_a_tick(engine) == [THREE], "what is in use stays, however short memory is"
    assert engine.entities("ledger")["x"].tolist() == pytest.approx([1.5, 2.5])


def test_the_threshold_holds(start: Start, chosen: Settings, machine: Any, clock: ManualClock) -> None:
    engine = start(chosen)
    engine.enable_auto_gc("ledger", 10.0)
    machine.meminfo(1000, 50)
    clock.advance(6.0)
    assert after_a_tick(engine) == [TWO, THREE], "1.0.0 was unused for 11 s, 2.0.0 for 6 s"
    assert after_a_tick(engine) == [TWO, THREE]
    clock.advance(4.0)
    assert after_a_tick(engine) == [THREE]


def test_pressure_that_cannot_be_read_any_more_turns_collection_off_and_is_told(
    start: Start, chosen: Settings, machine: Any, clock: ManualClock
) -> None:
    engine = start(chosen)
    engine.enable_auto_gc("ledger", 0.0)
    (machine.root / "proc/meminfo").unlink()
    assert after_a_tick(engine) == VERSIONS
    (event,) = [event for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert event.details["plugin"] == "Pressure"
    assert "meminfo" in event.details["error"]


def test_an_option_that_it_does_not_take_is_told_with_its_name(start: Start, machine: Any, tmp_path: Path) -> None:
    file = tmp_path / "grove.toml"
    file.write_text(f'[grove]\ngc_policy = {{use = "pressure", above = 8, root = "{machine.root}"}}\n')
    engine = start(Settings.read(file))
    with pytest.raises(PluginFailed, match=r"grove-gc-pressure:pressure.*above must be at least 0"):
        engine.enable_auto_gc("ledger", 10.0)


def test_to_install_it_changes_nothing(start: Start, clock: ManualClock) -> None:
    engine = start()
    assert engine.settings.gc_policy.use == "idle"
    engine.enable_auto_gc("ledger", 10.0)
    clock.advance(10.0)
    assert after_a_tick(engine) == [THREE], "whatever memory there is"
