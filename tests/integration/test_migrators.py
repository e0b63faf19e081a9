"""Migrators in an engine: plugins that are installed, asked here and run in workers, which may do anything."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grove_core import DebugEngine, Settings
from grove_core.base.errors import MigrationRefused, NoLensPath, PluginFailed, SettingsError, UnknownPart
from grove_core.base.events import EventKind
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice

from .conftest import OpenEngine, rows_by_id
from .sources import MODULE, version

PLUGIN = """
import os, signal, sys, time
import numpy as np
from grove_core.parts.hookspecs import hookimpl

ENGINE = os.environ.get("GROVE_TEST_ENGINE") == str(os.getpid())


class Metres:
    def __init__(self, factor=100):
        self.factor = factor

    def accepts(self, source, target):
        {accepts}

    def migrate(self, rows, source, target):
        assert not ENGINE
        {migrate}


@hookimpl
def grove_register_migrators():
    return {{"metres": Metres}}
"""
ACCEPTS = "return {'m', 'cm'} <= source.schema.dtypes.keys() ^ target.schema.dtypes.keys()"
MIGRATE = (
    "return {'cm': np.rint(rows['m'] * self.factor).astype('i4')} if 'cm' in target.schema.dtypes "
    "else {'m': rows['cm'] / np.float32(self.factor)}"
)
V1 = version("pass", schema='m=Column("f4", high=1000), n="i8", kept="i2"')
V2 = version("e.n += 1", schema='cm="i4", n="i8", seen="?"')
BOTH = {"1.0.0": V1, "2.0.0": V2}
numbers = itertools.count()


def limits(*choices: Choice, **settings: Any) -> Settings:
    return Settings(migrators=choices, tick_deadline_ms=20_000.0, max_entities=1 << 12, **settings)


CHOSEN = limits(Choice("metres"))
Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install(accepts=..., migrate=...)`: put a plugin on the path as an installed package; return its module."""
    monkeypatch.setenv("GROVE_TEST_ENGINE", str(os.getpid()))
    names = []

    def make(accepts: str = ACCEPTS, migrate: str = MIGRATE) -> str:
        names.append(name := f"metres_plugin_{next(numbers)}")
        folder = tmp_path / name
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{name}.py").write_text(PLUGIN.format(accepts=accepts, migrate=migrate))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[grove_core.plugins]\nmetres = {name}\n")
        monkeypatch.syspath_prepend(str(folder))
        return name

    yield make
    for name in names:
        sys.modules.pop(name, None)


def started(open_engine: OpenEngine, settings: Settings = CHOSEN) -> DebugEngine:
    """An engine with a zygote that knows the path as it is now, both versions loaded, three rows in the first."""
    engine = open_engine(BOTH, settings=settings, isolation=None)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, 2, 3], m=[1.234, 2.5, 3.0], n=7, kept=[4, 5, 6])
    engine.load_module_version(MODULE, 2)
    return engine


def test_there_and_back(open_engine: OpenEngine, install: Install) -> None:
    install()
    engine = started(open_engine)
    before = rows_by_id(engine.entities(MODULE))
    report = engine.migrate_state(MODULE, 1, 2)
    assert [str(each) for each in report.path] == ["1.0.0", "2.0.0"]
    there = engine.entities(MODULE, version=2)
    assert dict(zip(there["id"].tolist(), there["cm"].tolist(), strict=True)) == {1: 123, 2: 250, 3: 300}
    assert there["n"].tolist() == [7, 7, 7]
    engine.tick(1.0)
    engine.migrate_state(MODULE, 2, 1)
    assert engine.entities(MODULE)["n"].tolist() == [8, 8, 8]
    after = rows_by_id(engine.entities(MODULE))
    assert {each: (row[0], row[2]) for each, row in after.items()} == {
        each: (row[0], row[2]) for each, row in before.items()
    }
    events = [event for event in engine.events if event.kind is EventKind.MAPPED]
    assert [(str(event.version), event.details["migrator"], event.details["entities"]) for event in events] == [
        ("2.0.0", "metres", 3),
        ("1.0.0", "metres", 3),
    ]


def test_options_reach_the_worker_and_the_first_that_accepts_is_taken(
    open_engine: OpenEngine, install: Install
) -> None:
    install()
    choices = Choice("metres", {"factor": 1000}), Choice("metres", {"factor": 10})
    engine = started(open_engine, limits(*choices))
    engine.migrate_state(MODULE, 1, 2)
    assert sorted(engine.entities(MODULE, version=2)["cm"].tolist()) == [1234, 2500, 3000]


def test_installing_a_migrator_changes_nothing(open_engine: OpenEngine, install: Install) -> None:
    install()
    engine = started(open_engine, limits())
    with pytest.raises(NoLensPath, match="no migrator in the settings accepts them either"):
        engine.migrate_state(MODULE, 1, 2)


def test_lenses_come_first_also_those_of_versions_that_are_not_loaded(
    open_engine: OpenEngine, install: Install
) -> None:
    """1 and 3 are joined by lenses that only 2 declares, which is not loaded when the way is asked for."""
    install("return True", "raise ValueError('asked')")
    second = version(
        "pass",
        schema='m=Column("f4", high=1000), n="i8"',
        lenses='Lens("==1.*", "==2.*", [Drop("kept")]), Lens("==2.*", "==3.*", [Add("seen")])',
    )
    sources = {"1.0.0": V1, "2.0.0": second, "3.0.0": version("pass", schema='m="f4", n="i8", seen="?"')}
    engine = open_engine(sources, settings=CHOSEN, isolation=None)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, m=[1.5], kept=3)
    engine.load_module_version(MODULE, 3)
    report = engine.migrate_state(MODULE, 1, 3)
    assert [str(each) for each in report.path] == ["1.0.0", "2.0.0", "3.0.0"]


BAD = {
    "raises": ("raise ValueError('no good')", "ValueError: no good"),
    "dies": ("os.kill(os.getpid(), signal.SIGKILL)", "its worker was killed by SIGKILL"),
    "gives what the target lacks": ("return {'z': rows['m']}", "no column is called 'z'"),
    "gives too few": ("return {'cm': np.zeros(2, 'i4')}", "column 'cm' has 2 values for 3 rows"),
    "gives another dtype": ("return {'cm': rows['m']}", "column 'cm' holds float32"),
    "gives no columns": ("return [1, 2, 3]", "migrate must return columns, name -> array; it returned list"),
    "writes its rows": ("rows['m'][:] = 0", "read-only"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_migrator_that_fails_moves_nothing(open_engine: OpenEngine, install: Install, name: str) -> None:
    migrate, told = BAD[name]
    plugin = install(migrate=migrate)
    engine = started(open_engine)
    before = rows_by_id(engine.entities(MODULE, version=1))
    with pytest.raises(PluginFailed) as caught:
        engine.migrate_state(MODULE, 1, 2)
    assert f"{MODULE}@2.0.0 plugin {plugin}:metres: the migrator 'metres' failed between 1.0.0 and 2.0.0" in str(
        caught.value
    )
    assert told in str(caught.value)
    assert rows_by_id(engine.entities(MODULE, version=1)) == before
    assert {str(each) for each in engine.locate(MODULE, [1, 2, 3])} == {"1.0.0"}
    engine.tick(1.0)


def test_a_value_that_breaks_a_rule_moves_nothing(open_engine: OpenEngine, install: Install) -> None:
    install()
    engine = started(open_engine)
    engine.migrate_state(MODULE, 1, 2)
    engine.spawn(MODULE, id=9, cm=200_000)
    with pytest.raises(PluginFailed, match=r"column 'm' is 2000\.0, above its highest value 1000"):
        engine.migrate_state(MODULE, 2, 1)
    assert {str(each) for each in engine.locate(MODULE, [1, 2, 3, 9])} == {"2.0.0"}


def test_a_migrator_that_hangs_is_ended(open_engine: OpenEngine, install: Install) -> None:
    install(migrate="time.sleep(1e6)")
    engine = started(open_engine, limits(Choice("metres"), load_deadline_seconds=2.0))
    with pytest.raises(PluginFailed, match=r"did not answer within 2 s \(load_deadline_seconds\)"):
        engine.migrate_state(MODULE, 1, 2)
    engine.tick(1.0)


def test_one_way_only(open_engine: OpenEngine, install: Install) -> None:
    install("return 'cm' in target.schema.dtypes")
    engine = started(open_engine)
    engine.migrate_state(MODULE, 1, 2)
    with pytest.raises(MigrationRefused, match="have a migrator accept this direction"):
        engine.migrate_state(MODULE, 2, 1)
    assert engine.migrate_state(MODULE, 2, 1, force=True).forced
    back = engine.entities(MODULE)
    carried = dict(zip(back["id"].tolist(), zip(back["m"].tolist(), back["kept"].tolist(), strict=True), strict=True))
    assert carried == {1: (pytest.approx(1.234), 4), 2: (2.5, 5), 3: (3.0, 6)}


def test_one_that_raises_when_it_is_asked_is_passed_over(open_engine: OpenEngine, install: Install) -> None:
    plugin = install("return 1 / 0 if self.factor == 3 else True")
    engine = started(open_engine, limits(Choice("metres", {"factor": 3}), Choice("metres", {"factor": 10})))
    engine.migrate_state(MODULE, 1, 2)
    assert sorted(engine.entities(MODULE, version=2)["cm"].tolist()) == [12, 25, 30]
    failed = [event.details for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert {event["plugin"] for event in failed} == {f"{plugin}:metres"}
    assert all("raised in accepts: ZeroDivisionError" in event["error"] for event in failed)


def test_a_wrong_choice_is_found_when_the_engine_is_made(open_engine: OpenEngine, install: Install) -> None:
    install()
    with pytest.raises(UnknownPart, match=r"no plugin registers the migrator 'yards'; there are: .*metres"):
        open_engine(BOTH, settings=limits(Choice("yards")))
    with pytest.raises(PluginFailed, match="cannot be made with"):
        open_engine(BOTH, settings=limits(Choice("metres", {"speed": 3})))
    with pytest.raises(SettingsError, match="numbers, texts, lists and tables only"):
        open_engine(BOTH, settings=limits(Choice("metres", {"factor": object()})))


def test_an_object_cannot_be_imported_by_a_worker(open_engine: OpenEngine) -> None:
    class Given:
        @hookimpl
        def grove_register_migrators(self) -> dict[str, Any]:
            return {"mine": object}

    with pytest.raises(PluginFailed, match=r"given as `plugins=\[\.\.\.\]`; install the plugin as a package"):
        open_engine(BOTH, settings=limits(Choice("mine")), plugins=(Given(),))
