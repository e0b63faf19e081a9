"""The migrator in an engine: chosen by a settings file, run in a worker, and of no effect until then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("grove_migrator_by_name", reason="grove-migrator-by-name is not installed")

from grove_core import MultiVersionEngine, Settings
from grove_core.base.errors import NoLensPath, PluginFailed
from grove_core.base.events import EventKind
from grove_core.parts.plugins import Catalogue, PartKind, make_plugin_manager
from grove_core.testing import write_version

SOURCE = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema({columns})

    def process(self, dt):
        self.entities.x += 1
"""
COLUMNS = {"1.0.0": 'x="f8", n="i8", only="i4"', "2.0.0": 'x="f4", n="i4", new="u1"'}
IDS = np.arange(100)
X = IDS + 0.1
Start = Callable[..., MultiVersionEngine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(settings)`: an engine with two versions whose authors wrote no lens, and 100 entities in the first."""
    engines: list[MultiVersionEngine] = []

    def make(settings: Settings | None = None) -> MultiVersionEngine:
        engines.append(MultiVersionEngine(settings))
        for version, columns in COLUMNS.items():
            written = write_version(
                tmp_path / str(len(engines)), "ledger", version, SOURCE.replace("{columns}", columns)
            )
            engines[-1].load_module_version("ledger", version, path=str(written))
        engines[-1].spawn("ledger", id=IDS, x=X, n=1 << 40, only=IDS)
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """What a `grove.toml` says that chooses the migrator."""
    file = tmp_path / "grove.toml"
    file.write_text('[grove]\nmigrators = [{use = "by_name", least = 0.5}]\n')
    return Settings.read(file)


def test_it_is_there_once_it_is_installed() -> None:
    manager, records = make_plugin_manager()
    assert [record.error for record in records if record.distribution == "grove-migrator-by-name"] == [None]
    found = Catalogue(manager, records).find(PartKind.MIGRATOR, "by_name")
    assert (found.plugin, found.entry_point) == ("grove-migrator-by-name:by_name", "grove_migrator_by_name")


def test_to_install_it_changes_nothing(start: Start) -> None:
    engine = start()
    with pytest.raises(NoLensPath, match=r"no chain of lenses joins 1\.0\.0 and 2\.0\.0"):
        engine.migrate_state("ledger", 1, 2)


def test_rows_go_there_and_come_back_as_they_were(start: Start, chosen: Settings) -> None:
    engine = start(chosen)
    engine.migrate_state("ledger", 1, 2)
    there = engine.entities("ledger", version=2)
    assert there["x"].dtype == np.float32
    assert np.allclose(np.sort(there["x"]), X)
    assert set(there["n"].tolist()) == {2**31 - 1}
    assert set(there["new"].tolist()) == {0}
    engine.migrate_state("ledger", 2, 1)
    back = engine.entities("ledger", version=1)
    order = np.argsort(back["id"])
    assert back["x"][order].tobytes() == X.tobytes(), "float32 could not hold these"
    assert set(back["n"].tolist()) == {1 << 40}
    assert back["only"][order].tolist() == IDS.tolist()
    ran = [event.details["migrator"] for event in engine.events if event.kind is EventKind.MAPPED]
    assert ran == ["by_name"] * len(ran)
    assert len(ran) >= 2


def test_what_was_changed_there_stays_changed(start: Start, chosen: Settings) -> None:
    engine = start(chosen)
    engine.set_traffic_split("ledger", {1: 0.5, 2: 0.5})
    there = np.array([version.major == 2 for version in engine.locate("ledger", IDS)])
    engine.tick(1.0)
    engine.set_traffic_split("ledger", {1: 1.0})
    back = engine.entities("ledger")
    order = np.argsort(back["id"])
    assert np.allclose(back["x"][order], X + 1)
    assert back["only"][order].tolist() == IDS.tolist(), "carried, and made of nothing that changed"
    assert there.sum() == 50
    assert back["n"][order].tolist() == np.where(there, 2**31 - 1, 1 << 40).tolist(), "with x changed, n is cast back"


def test_an_option_that_it_does_not_take_is_told_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "grove.toml"
    file.write_text('[grove]\nmigrators = [{use = "by_name", least = 2}]\n')
    with pytest.raises(PluginFailed, match=r"grove-migrator-by-name:by_name.*least must be above 0"):
        MultiVersionEngine(Settings.read(file))
