"""Modules that others need are ticked first; whatever fails or strikes in between, nobody loses a tick."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grove_core import DebugEngine, ManualClock

from ..conftest import InstalledIn, write_package
from ..striking import ctrl_c, error, places_of, strike
from .conftest import PATIENT, OpenEngine, Shared
from .depending import Sources, folders_of, module

Open = Callable[[Sources], DebugEngine]
MEET = """
import pathlib
here = pathlib.Path({folder!r})
(here / {me!r}).touch()
while not (here / {other!r}).exists():
    time.sleep(0.001)
"""


@pytest.fixture
def opened(open_engine: OpenEngine, package: Any, installed: Any) -> Open:
    return lambda sources: open_engine({}, plugins=(installed(*folders_of(package, sources)),))


def test_what_others_need_is_ticked_first(opened: Open) -> None:
    engine = opened(
        {
            "tank": {"1": module(["map"])},
            "map": {"1": module()},
            "production": {"1": module(["tank", "map"])},
            "chat": {"1": module()},
        }
    )
    for name in ("chat", "production"):
        engine.load_module_version(name, 1)
    for name in engine._states:
        engine.spawn(name, n=np.zeros(3, int))
    report = engine.tick(0.1)
    assert report.levels == (("chat", "map"), ("tank",), ("production",))
    assert report.entities == 12
    shown = {name: engine.entities(name) for name in engine._states}
    for base, after in (("map", "tank"), ("tank", "production")):
        assert shown[base]["ended"].max() < shown[after]["began"].min()


def test_modules_that_do_not_need_each_other_work_at_once(opened: Open, tmp_path: Path) -> None:
    """Each waits for the other; one after the other they would never end."""

    def meeting(me: str, other: str) -> str:
        statements = MEET.format(folder=str(tmp_path), me=me, other=other)
        return module(["map"], process=f"if e.n[0] == 7:\n{_indented(statements)}\ne.n += 1")

    engine = opened(
        {
            "map": {"1": module()},
            "left": {"1": meeting("a", "b")},
            "right": {"1": meeting("b", "a")},
        }
    )
    for name in ("left", "right"):
        engine.load_module_version(name, 1)
        engine.spawn(name, n=7)
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 2)
    assert report.levels == (("map",), ("left", "right"))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


def test_a_base_that_fails_is_recovered_before_what_needs_it(opened: Open) -> None:
    engine = opened({"map": {"1": module(), "2": module()}, "tank": {"1": module(["map"])}})
    engine.load_module_version("tank", "1")
    engine.load_module_version("map", 1)
    engine.set_traffic_split("map", {1: 0.5, 2: 0.5})
    engine.spawn("map", n=np.zeros(4, int))
    engine.spawn("tank", n=np.zeros(2, int))
    engine.inject_fault("map", 2, "raise")
    report = engine.tick(0.1)
    assert [str(fault.version) for fault in report.faults] == ["2"]
    assert report.entities == 6
    assert engine.entities("map")["n"].tolist() == [1] * 4
    assert engine.entities("map")["ended"].max() < engine.entities("tank")["began"].min()


def test_a_paused_base_keeps_nobody_waiting(opened: Open) -> None:
    dies = module(process="if e.n.max() > 0: raise ValueError('no')\ne.n += 1")
    engine = opened({"map": {"1": dies}, "tank": {"1": module(["map"])}})
    engine.load_module_version("tank", 1)
    for name in ("map", "tank"):
        engine.spawn(name, n=np.zeros(2, int))
    engine.tick(0.1)
    assert engine.tick(0.1).entities == 2
    assert engine.is_paused("map")
    assert engine.tick(0.1).levels == (("tank",),)
    assert engine.entities("tank")["n"].tolist() == [3, 3]


@pytest.mark.struck
@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("how", [ctrl_c, error])
def test_a_tick_that_is_struck_on_any_level_is_whole_or_nothing(opened: Open, how: Callable[[], None]) -> None:
    engine = opened(
        {
            "map": {"1": module()},
            "tank": {"1": module(["map"]), "2": module(["map"])},
            "production": {"1": module(["tank"])},
        }
    )
    for number in (1, 2):
        engine.load_module_version("tank", number)
    engine.load_module_version("production", 1)
    engine.set_traffic_split("tank", {1: 0.5, 2: 0.5})
    for name in engine._states:
        engine.spawn(name, n=np.zeros(4, int))
    engine.tick(0.1)
    done = 1

    def tick() -> None:
        engine.tick(0.1)

    places = [one for one in places_of(tick) if one[0][0].endswith(("tick.py", "commit.py"))]
    done += 1
    went, back = 0, 0
    for place, nth in places[:: len(places) // 40]:
        strike(tick, place, nth, how)
        values = {n for name in engine._states for n in engine.entities(name)["n"].tolist()}
        assert values in ({done}, {done + 1}), place
        went, back = went + (values != {done}), back + (values == {done})
        (done,) = values
        assert engine.tick(0.1).faults == (), place
        done += 1
    assert went
    assert back or how is ctrl_c


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Mapping[str, Mapping[str, tuple[str, ...]]], list[tuple[str, str, str]]]:
    """Modules, each needing some of those before it, another some in each version; and faults, one a tick."""
    names = [f"m{place}" for place in range(draw(st.integers(2, 4)))]
    needs = {
        name: {
            str(number): tuple(draw(st.sets(st.sampled_from(names[:place])))) if place else ()
            for number in range(1, draw(st.integers(1, 2)) + 1)
        }
        for place, name in enumerate(names)
    }
    every = [(name, number) for name, those in needs.items() for number in those]
    kinds = st.sampled_from(["raise", "kill", "garbage"])
    faults = draw(st.lists(st.tuples(st.sampled_from(every), kinds), max_size=2))
    return needs, [(name, number, kind) for (name, number), kind in faults]


@settings(max_examples=12)
@given(crowds())
def test_any_modules_are_ticked_in_order_and_faults_lose_nothing(isolation: Shared, crowd: Any) -> None:
    needs, faults = crowd
    with tempfile.TemporaryDirectory() as folder:
        packages = [
            write_package(Path(folder) / f"{name}-{number}", name, number, module(those))
            for name, by_number in needs.items()
            for number, those in by_number.items()
        ]
        with DebugEngine(PATIENT, plugins=[InstalledIn(*packages)], clock=ManualClock(), isolation=isolation) as engine:
            _runs_in_order(engine, needs, faults)


def _runs_in_order(engine: DebugEngine, needs: Any, faults: list[tuple[str, str, str]]) -> None:
    for name, by_number in needs.items():
        for number in by_number:
            if not (name in engine._states and engine.is_version_loaded(name, number)):
                engine.load_module_version(name, number)
        engine.set_traffic_split(name, dict.fromkeys(by_number, 1 / len(by_number)))
        engine.spawn(name, n=np.zeros(4, int))
    for ticks, fault in enumerate([*faults, None], start=1):
        if fault is not None and engine.is_version_loaded(*fault[:2]):
            engine.inject_fault(*fault)
        edges = {(need.base, need.module) for need in engine.dependencies()}
        report = engine.tick(0.1)
        assert report.entities == 4 * len(needs)
        shown = {name: engine.entities(name) for name in needs}
        assert {n for columns in shown.values() for n in columns["n"].tolist()} == {ticks}
        for base, after in edges:
            assert shown[base]["ended"].max() < shown[after]["began"].min(), (base, after, report)
