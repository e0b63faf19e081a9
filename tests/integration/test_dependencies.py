"""What a version needs of other modules: pulled in, explained, refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from packaging.version import Version

from grove_core import DebugEngine, GroveError, ManualClock
from grove_core.base.errors import DependencyError, LoadFailed, UnloadRefused
from grove_core.base.events import EventKind
from grove_core.runtime.loading import resolving

from ..striking import ctrl_c, error, places_of, strike
from .conftest import PATIENT, OpenEngine, Refused
from .depending import Sources, folders_of, module

Open = Callable[[Sources], DebugEngine]
FAILS = "def initialize(self, config): raise ValueError('not today')"


@pytest.fixture
def opened(open_engine: OpenEngine, package: Any, installed: Any) -> Open:
    return lambda sources: open_engine({}, plugins=(installed(*folders_of(package, sources)),))


def loaded(engine: DebugEngine) -> dict[str, list[str]]:
    return {name: sorted(map(str, state.versions)) for name, state in engine._states.items()}


def test_a_load_pulls_in_the_highest_that_fits(opened: Open) -> None:
    engine = opened(
        {
            "physics": {number: module() for number in ("1.0.0", "1.10.0", "1.9.0", "1.11.0rc1", "2.0.0")},
            "game": {"1.0.0": module(["physics>=1,<2"])},
        }
    )
    report = engine.load_module_version("game", 1)
    assert loaded(engine) == {"physics": ["1.10.0"], "game": ["1.0.0"]}
    assert [(each.module, str(each.version)) for each in report.pulled_in] == [("physics", "1.10.0")]
    told = [(e.module, e.details.get("needed_by")) for e in engine.events if e.kind is EventKind.VERSION_LOADED]
    assert told == [("physics", "game@1.0.0"), ("game", None)]
    (need,) = engine.dependencies()
    assert (need.module, need.requirement, need.base, need.met_by) == (
        "game",
        "physics>=1,<2",
        "physics",
        (Version("1.10.0"),),
    )
    assert engine.dependencies("physics") == []


def test_bases_are_ready_before_what_needs_them(opened: Open, tmp_path: Any) -> None:
    log = tmp_path / "log"
    notes = "def initialize(self, config): open({!r}, 'a').write({!r})"
    engine = opened(
        {
            "game": {"1.0.0": module(["physics", "map"], body=notes.format(str(log), "game "))},
            "physics": {"1.0.0": module(["map"], body=notes.format(str(log), "physics "))},
            "map": {"1.0.0": module(body=notes.format(str(log), "map "))},
        }
    )
    engine.load_module_version("game", 1)
    assert log.read_text() == "map physics game "


def test_a_choice_that_leads_nowhere_is_taken_back(opened: Open) -> None:
    engine = opened(
        {
            "app": {"1.0.0": module(["left", "right"])},
            "left": {"1.0.0": module(["base>=1"]), "2.0.0": module(["base>=2"])},
            "right": {"1.0.0": module(["base<2"])},
            "base": {"1.0.0": module(), "2.0.0": module()},
        }
    )
    engine.load_module_version("app", 1)
    assert loaded(engine) == {"base": ["1.0.0"], "left": ["1.0.0"], "right": ["1.0.0"], "app": ["1.0.0"]}


def test_a_folder_brings_its_bases_along(opened: Open, package: Any) -> None:
    folder = package("app", "1", module(["base", "floor"]))
    package("base", "2", module(), into=folder)
    engine = opened({"base": {"1": module(), "2": module(body=FAILS)}, "floor": {"1": module()}})
    engine.load_module_version("app", 1, path=str(folder))
    assert loaded(engine) == {"base": ["2"], "floor": ["1"], "app": ["1"]}, "of two the folder's counts"


def test_a_base_gets_the_config_of_its_module(open_engine: OpenEngine, package: Any, installed: Any) -> None:
    base = module(body="def initialize(self, config):\n    if config != {'size': 3}: raise ValueError(str(config))")
    found = installed(*folders_of(package, {"app": {"1": module(["base"])}, "base": {"1": base}}))
    settings = msgspec.structs.replace(PATIENT, config={"base": {"size": 3}})
    engine = open_engine({}, settings=settings, plugins=(found,))
    engine.load_module_version("app", 1)
    assert loaded(engine) == {"base": ["1"], "app": ["1"]}


def test_a_planned_fault_strikes_the_load_of_a_base_not_the_search(opened: Open, refused: Refused) -> None:
    engine = opened({"app": {"1": module(["base"])}, "base": {"1": module()}})
    engine.inject_fault("base", 1, "raise", point="import")
    with refused(engine, LoadFailed, "base@1, which it needs", module="app"):
        engine.load_module_version("app", 1)
    engine.load_module_version("app", 1)
    assert loaded(engine) == {"base": ["1"], "app": ["1"]}


def test_a_search_without_end_is_given_up(opened: Open, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "STEPS", 5)
    left = {str(number): module() for number in range(1, 5)}
    engine = opened({"app": {"1": module(["left", "right"])}, "left": left, "right": {"1": module(["left<1"])}})
    with refused(engine, DependencyError, "in 5 attempts", "by hand", module="app"):
        engine.load_module_version("app", 1)


def test_what_is_loaded_is_taken_as_it_is(opened: Open, refused: Refused) -> None:
    engine = opened(
        {
            "physics": {"1.0.0": module(), "2.0.0": module()},
            "game": {"1.0.0": module(["physics"]), "2.0.0": module(["physics>=2"])},
        }
    )
    engine.load_module_version("physics", 1)
    engine.load_module_version("game", 1)
    assert loaded(engine)["physics"] == ["1.0.0"]
    with refused(engine, DependencyError, "game@2.0.0", "physics>=2", "1.0.0 is loaded", module="game"):
        engine.load_module_version("game", 2)
    engine.load_module_version("physics", 2)
    engine.load_module_version("game", 2)


BAD: dict[str, tuple[Sources, list[str]]] = {
    "nothing is installed": ({}, ["app@1.0.0: it requires 'base>=1'", "load that module first"]),
    "only others are installed": ({"base": {"0.9": module()}}, ["base@0.9: app@1.0.0 requires 'base>=1'"]),
    "only a pre-release is installed": ({"base": {"1.5rc1": module()}}, ["base@1.5rc1", "pre-release"]),
    "it cannot be imported": ({"base": {"1.0.0": "import nothing_like_this"}}, ["base@1.0.0", "nothing_like_this"]),
    "its own need is not there": (
        {"base": {"1.0.0": module(["floor>=3"]), "1.1.0": module(["floor>=4"])}, "floor": {"2": module()}},
        [
            "cannot be had together",
            "floor@2: base@1.0.0 requires 'floor>=3'",
            "floor@2: base@1.1.0 requires 'floor>=4'",
        ],
    ),
    "its own need cannot be read": ({"base": {"1.0.0": module(["!!"])}}, ["base@1.0.0", "'!!'", "not of the form"]),
    "it goes in a circle": (
        {"base": {"1.0.0": module(["floor"])}, "floor": {"1.0.0": module(["app"])}},
        ["app@1.0.0 -> base@1.0.0 -> floor@1.0.0 -> app"],
    ),
    "it fails as it is loaded": ({"base": {"1.0.0": module(body=FAILS)}}, ["base@1.0.0, which it needs", "not today"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_had_is_explained_and_nothing_is_half_loaded(opened: Open, refused: Refused, case: str) -> None:
    sources, words = BAD[case]
    engine = opened({"app": {"1.0.0": module(["base>=1"])}, **sources})
    with refused(engine, GroveError, *words, module="app"):
        engine.load_module_version("app", 1)
    assert loaded(engine) == {}


@pytest.mark.parametrize("need", ["base[fast]>=1", "base>=1; python_version > '3'", "base @ http://example.org/base"])
def test_what_modules_do_not_have_is_not_required(opened: Open, refused: Refused, need: str) -> None:
    engine = opened({"app": {"1.0.0": module([need])}, "base": {"1.0.0": module()}})
    with refused(engine, DependencyError, "not of the form", module="app"):
        engine.load_module_version("app", 1)


@pytest.mark.parametrize(
    ("need", "meant"),
    [("game-map>=1", "did you mean 'game_map'?"), ("Game.Map", "did you mean 'game_map'?"), ("2d", "a-z first")],
)
def test_what_no_module_is_called_is_not_required(opened: Open, refused: Refused, need: str, meant: str) -> None:
    engine = opened({"app": {"1.0.0": module([need])}, "game_map": {"1.0.0": module()}})
    with refused(engine, DependencyError, repr(need), "what no module is called", meant, module="app"):
        engine.load_module_version("app", 1)


@pytest.mark.parametrize("needs", ["'base'", "None", "[7]", "b'base'"])
def test_needs_that_are_no_list(opened: Open, refused: Refused, needs: str) -> None:
    wrong = module(body=f"get_dependencies = lambda self: {needs}")
    engine = opened({"app": {"1.0.0": wrong}, "base": {"1.0.0": module()}})
    with refused(engine, LoadFailed, "get_dependencies must return a list", needs.strip("b'"), module="app"):
        engine.load_module_version("app", 1)


def test_one_that_fails_takes_what_was_loaded_for_it_along(opened: Open, refused: Refused) -> None:
    engine = opened(
        {"app": {"1.0.0": module(["base", "other"], body=FAILS)}, "base": {"1": module()}, "other": {"1": module()}}
    )
    engine.load_module_version("other", 1)
    with refused(engine, LoadFailed, "not today", module="app"):
        engine.load_module_version("app", 1)
    assert loaded(engine) == {"other": ["1"]}


def test_a_module_that_needs_itself_is_a_circle(opened: Open) -> None:
    engine = opened({"app": {"1.0.0": module(["app"])}})
    with pytest.raises(DependencyError, match=r"app@1\.0\.0 -> app"):
        engine.load_module_version("app", 1)


def test_a_second_version_does_not_close_a_circle(opened: Open, refused: Refused) -> None:
    engine = opened({"a": {"1": module(["b"])}, "b": {"1": module(), "2": module(["a"])}})
    engine.load_module_version("a", 1)
    with refused(engine, DependencyError, "a@1 -> b@2 -> a", module="b"):
        engine.load_module_version("b", 2)


def test_a_rollback_does_not_close_a_circle_nor_miss_what_it_needs(opened: Open, refused: Refused) -> None:
    engine = opened({"a": {"1": module(["b"]), "2": module()}, "b": {"1": module(["a"]), "2": module()}})
    engine.load_module_version("b", 2)
    engine.load_module_version("a", 1)
    engine.load_module_version("a", 2)
    engine.set_traffic_split("a", {2: 1})
    engine.unload_module_version("a", 1)
    engine.unload_module_version("b", 2)
    with refused(engine, DependencyError, "load that module first", module="a"):
        engine.rollback("a", "1")
    engine.load_module_version("b", 1)
    with refused(engine, DependencyError, "a@1 -> b@1 -> a", module="a"):
        engine.rollback("a", "1")


def test_what_another_needs_is_not_unloaded_and_not_collected(opened: Open, refused: Refused) -> None:
    engine = opened(
        {
            "game": {"1.0": module(["physics<2"]), "2.0": module()},
            "physics": {"1.0": module(), "1.1": module(), "2.0": module()},
        }
    )
    clock = engine._context.clock
    assert isinstance(clock, ManualClock)
    engine.load_module_version("game", 1)
    with refused(engine, UnloadRefused, "game@1.0 requires 'physics<2'", module="physics"):
        engine.unload_module_version("physics", "1.1")
    engine.load_module_version("physics", "1.0")
    engine.unload_module_version("physics", "1.0")  # there is another one that does
    engine.load_module_version("game", 2)
    engine.set_traffic_split("game", {2: 1})
    engine.load_module_version("physics", 2)
    engine.set_traffic_split("physics", {2: 1})
    engine.enable_auto_gc("physics", 1.0)
    for _ in range(3):
        clock.advance(5.0)
        engine.tick(0.1)
    assert loaded(engine)["physics"] == ["1.1", "2.0"]
    (held,) = [event for event in engine.events if event.kind is EventKind.COLLECTION_HELD]
    assert "game@1.0 requires" in held.details["reason"]
    engine.unload_module_version("game", 1)
    engine.tick(0.1)
    assert loaded(engine)["physics"] == ["2.0"]


@pytest.mark.struck
@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("how", [ctrl_c, error])
def test_a_load_that_is_struck_is_whole_or_nothing(opened: Open, how: Callable[[], None]) -> None:
    engine = opened({"app": {"1": module(["base"])}, "base": {"1": module(["floor"])}, "floor": {"1": module()}})

    def unload_all() -> None:
        for name in ("app", "base", "floor"):
            if name in engine._states:
                engine.unload_module_version(name, 1)

    places = [
        place
        for place in places_of(lambda: engine.load_module_version("app", 1))
        if place[0][0].endswith(
            ("loading.py", "bases.py", "resolving.py", "dependencies.py", "introducing.py", "core.py")
        )
    ]
    unload_all()
    assert len(places) > 100
    seen: set[int] = set()
    for place, nth in places[:: len(places) // 20]:
        strike(lambda: engine.load_module_version("app", 1), place, nth, how)
        names = sorted(loaded(engine))
        assert names in ([], ["app", "base", "floor"]), place
        seen.add(len(names))
        unload_all()
    assert 0 in seen
