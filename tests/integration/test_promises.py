"""What the engine promises about itself: what it imports, how often it asks plugins, what crosses its wires."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grove_core
from grove_core import MultiVersionEngine, Settings
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice
from grove_core.routing.modulo import Modulo

SOURCE = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f8")

    def process(self, dt):
        self.entities.x += dt
"""

IN_A_FRESH_ENGINE = """
import sys
from grove_core import MultiVersionEngine
from grove_core.parts.discovery import records_in
from grove_core.parts.hookspecs import hookimpl

class Installed:
    @hookimpl
    def grove_discover_versions(self):
        return records_in(sys.argv[1:])

with MultiVersionEngine(plugins=[Installed()]) as engine:
    engine.load_module_version("ledger", 1)
    engine.spawn("ledger", x=[1.0, 2.0])
    engine.load_module_version("ledger", 2)
    engine.set_traffic_split("ledger", {1: 0.5, 2: 0.5})
    assert engine.tick(1.0).entities == 2
print(sorted(name for name in sys.modules if name.startswith("ledger")))
"""


def test_the_engine_imports_no_version_package(package: Any, tmp_path: Path) -> None:
    for major in (1, 2):
        package("ledger", f"{major}.0.0", SOURCE, into=tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_ENGINE, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("entities", [10, 10_000])
def test_a_tick_calls_no_hook(package: Any, installed: Any, isolation: Any, entities: int) -> None:
    folder = package("ledger", "1.0.0", SOURCE)
    with MultiVersionEngine(plugins=[installed(folder)], isolation=isolation) as engine:
        engine.load_module_version("ledger", 1)
        engine.spawn("ledger", x=np.zeros(entities))
        calls: list[str] = []
        undo = engine._manager.add_hookcall_monitoring(
            lambda name, implementations, arguments: calls.append(name), lambda *_: None
        )
        for _ in range(5):
            assert engine.tick(1.0).entities == entities
        undo()
        assert calls == []


def test_a_router_is_asked_once_for_a_split_however_many_there_are(
    package: Any, installed: Any, isolation: Any
) -> None:
    asked: list[int] = []

    class Counting(Modulo):
        def route(self, population: Any, quota: Any) -> Any:
            asked.append(len(population.ids))
            return super().route(population, quota)

    class Plugin:
        @hookimpl
        def grove_register_routers(self) -> dict[str, type]:
            return {"counting": Counting}

    folders = [package("ledger", f"{major}.0.0", SOURCE) for major in (1, 2)]
    settings = Settings(router=Choice("counting"))
    with MultiVersionEngine(settings, plugins=[installed(*folders), Plugin()], isolation=isolation) as engine:
        engine.load_module_version("ledger", 1)
        engine.spawn("ledger", x=np.zeros(10_000))
        engine.load_module_version("ledger", 2)
        engine.set_traffic_split("ledger", {1: 0.5, 2: 0.5})
    assert asked == [10_000, 10_000], "once for the births, once for the split"


def test_settings_from_a_file_choose_the_router(package: Any, installed: Any, isolation: Any, tmp_path: Path) -> None:
    file = tmp_path / "grove.toml"
    file.write_text('[grove]\nrouter = "modulo"\n')
    folders = [package("ledger", f"{major}.0.0", SOURCE) for major in (1, 2)]
    with MultiVersionEngine(Settings.read(file), plugins=[installed(*folders)], isolation=isolation) as engine:
        engine.load_module_version("ledger", 1)
        ids = engine.spawn("ledger", id=np.arange(200), x=0.0)
        engine.load_module_version("ledger", 2)
        engine.set_traffic_split("ledger", {1: 0.25, 2: 0.75})
        majors = np.array([version.major for version in engine.locate("ledger", ids)])
    assert np.array_equal(majors == 1, ids % 100 < 25)


def test_no_pickle_eval_or_exec_anywhere() -> None:
    for file in Path(grove_core.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"pickle", "cloudpickle", "marshal"}, file
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, file


BEARING = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f8")

    def process(self, dt):
        if len(self.entities) == 1:
            self.entities.spawn(id=[5], x=[0.0])
"""


def test_two_modules_may_bear_the_same_id_in_one_tick(package: Any, installed: Any, isolation: Any) -> None:
    folders = [package(module, "1.0.0", BEARING) for module in ("left", "right")]
    with MultiVersionEngine(plugins=[installed(*folders)], isolation=isolation) as engine:
        for module in ("left", "right"):
            engine.load_module_version(module, 1)
            engine.spawn(module, id=[1])
        assert engine.tick(1.0).faults == ()
        for module in ("left", "right"):
            assert sorted(engine.entities(module)["id"]) == [1, 5]
