"""The router in an engine: chosen by a settings file, and of no effect until then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version

pytest.importorskip("grove_router_bounded", reason="grove-router-bounded is not installed")

from grove_core import MultiVersionEngine, Settings
from grove_core.base.errors import PluginFailed
from grove_core.parts.plugins import Catalogue, PartKind, make_plugin_manager
from grove_core.testing import write_version

IDS = np.arange(2000)
ONE, TWO = Version("1.0.0"), Version("2.0.0")
Start = Callable[..., MultiVersionEngine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(settings)`: an engine with two versions of a module and 2,000 entities, all of them in the first."""
    engines: list[MultiVersionEngine] = []

    def make(settings: Settings | None = None) -> MultiVersionEngine:
        engines.append(MultiVersionEngine(settings))
        for version in (ONE, TWO):
            written = write_version(tmp_path / str(len(engines)), "ledger", str(version))
            engines[-1].load_module_version("ledger", version, path=str(written))
        engines[-1].spawn("ledger", id=IDS, x=IDS)
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """What a `grove.toml` says that chooses the ring."""
    file = tmp_path / "grove.toml"
    file.write_text('[grove]\nrouter = {use = "ring", load = 1.05, points = 100}\n')
    return Settings.read(file)


def inside(engine: MultiVersionEngine, version: Version) -> set[int]:
    where = engine.locate("ledger", IDS)
    return {each for each, here in zip(IDS.tolist(), where, strict=True) if here == version}


def test_it_is_there_once_it_is_installed() -> None:
    manager, records = make_plugin_manager()
    assert [record.error for record in records if record.distribution == "grove-router-bounded"] == [None]
    assert Catalogue(manager).find(PartKind.ROUTER, "ring").plugin == "grove-router-bounded:bounded"


def test_a_settings_file_chooses_it(start: Start, chosen: Settings) -> None:
    engine = start(chosen)
    for share in (0.1, 0.3, 0.5):
        engine.set_traffic_split("ledger", {1: 1 - share, 2: share})
        moved = len(inside(engine, TWO))
        assert 0 < moved <= np.ceil(1.05 * share * len(IDS))
        assert moved != share * len(IDS), "an exact share would be another router's"


def test_entities_keep_their_values_and_tick_on(start: Start, chosen: Settings) -> None:
    engine = start(chosen)
    engine.set_traffic_split("ledger", {1: 0.5, 2: 0.5})
    assert engine.tick(0.5).entities == len(IDS)
    entities = engine.entities("ledger")
    assert (entities["x"] == entities["id"] + 0.5).all()


def test_two_engines_send_the_same_entities_to_the_same_versions(start: Start, chosen: Settings) -> None:
    one, other = start(chosen), start(chosen)
    other.set_traffic_split("ledger", {1: 0.2, 2: 0.8})
    for engine in (one, other):
        engine.set_traffic_split("ledger", {1: 0.7, 2: 0.3})
    assert inside(one, TWO) == inside(other, TWO), "the split before plays no part"


def test_to_install_it_changes_nothing(start: Start, chosen: Settings) -> None:
    untouched, other = start(), start(chosen)
    assert untouched.settings.router.use == "quota"
    for engine in (untouched, other):
        engine.set_traffic_split("ledger", {1: 0.9, 2: 0.1})
    assert len(inside(untouched, TWO)) == 200, "shares are exact, as without it"
    assert inside(untouched, TWO) != inside(other, TWO)


def test_an_option_that_it_does_not_take_is_told_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "grove.toml"
    file.write_text('[grove]\nrouter = {use = "ring", load = 0.5}\n')
    with pytest.raises(PluginFailed, match=r"grove-router-bounded:bounded.*load must be finite and at least 1"):
        MultiVersionEngine(Settings.read(file))
