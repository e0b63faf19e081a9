"""How plugins are found and parts are chosen: one that is broken never hides the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grove_core.base.errors import DuplicateName, PluginFailed, UnknownPart
from grove_core.parts import hookspecs
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.plugins import Catalogue, PartKind, each_result, make_plugin_manager

ENTRY = "[grove_core.plugins]\n{name} = {target}\n"
SOUND = """
from grove_core.parts.hookspecs import hookimpl

class Router:
    def route(self, population, quota): ...

@hookimpl
def grove_register_routers():
    return {"from-a-package": Router}
"""


class Routes:
    """A plugin that registers one router, whatever its factory is."""

    def __init__(self, name: str, factory: Callable[..., Any]) -> None:
        self.name = name
        self.factory = factory

    @hookimpl
    def grove_register_routers(self) -> dict[str, Callable[..., Any]]:
        return {self.name: self.factory}


class Answers:
    """A plugin whose hook answers, or raises, what it was made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @hookimpl
    def grove_register_routers(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Weighted:
    def __init__(self, load: float = 1.0) -> None:
        self.load = load


def catalogue(*plugins: object) -> Catalogue:
    return Catalogue(make_plugin_manager(plugins)[0])


def test_every_kind_has_its_hook() -> None:
    for kind in PartKind:
        assert callable(getattr(hookspecs, kind.hook))
    hooks = {name for name in vars(hookspecs) if name.startswith("grove_register_")}
    assert {kind.hook for kind in PartKind} == hooks


def test_a_part_is_made_with_its_options() -> None:
    made = catalogue(Routes("mine", Weighted)).make(PartKind.ROUTER, "mine", {"load": 1.25})
    assert isinstance(made, Weighted)
    assert made.load == 1.25


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UnknownPart, match=r"the router 'yours'; there are: .*mine"):
        catalogue(Routes("mine", Weighted)).make(PartKind.ROUTER, "yours", {})


def test_names_of_one_kind_are_not_those_of_another() -> None:
    with pytest.raises(UnknownPart, match="the hold 'only-a-router'"):
        catalogue(Routes("only-a-router", Weighted)).make(PartKind.HOLD, "only-a-router", {})


@pytest.mark.parametrize("options", [{"speed": 1}, {"load": 1, "more": 2}])
def test_options_that_a_factory_does_not_take_name_the_plugin(options: dict[str, Any]) -> None:
    with pytest.raises(PluginFailed, match=r"Routes.*router 'mine' cannot be made with"):
        catalogue(Routes("mine", Weighted)).make(PartKind.ROUTER, "mine", options)


def test_options_that_are_nested_too_deeply_are_told_as_well() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(PluginFailed, match=r"cannot be made with an unprintable dict: .*unexpected keyword"):
        catalogue(Routes("mine", Weighted)).make(PartKind.ROUTER, "mine", deep)


def test_a_name_that_two_plugins_register_names_both() -> None:
    class Others(Routes):
        pass

    with pytest.raises(DuplicateName, match=r"'mine' is registered by (Routes and by Others|Others and by Routes)"):
        catalogue(Routes("mine", Weighted), Others("mine", Weighted))


@pytest.mark.parametrize("answer", [RuntimeError("boom"), None, 3, ["mine"]])
def test_a_plugin_that_fails_is_told_and_the_others_count(answer: Any) -> None:
    parts = catalogue(Answers(answer), Routes("mine", Weighted))
    assert isinstance(parts.make(PartKind.ROUTER, "mine", {}), Weighted)
    (failure,) = parts.failures
    assert failure.plugin == "Answers"
    assert "grove_register_routers raised" in failure.message
    assert isinstance(failure.__cause__, Exception)


def test_each_implementation_is_called_once_and_by_itself() -> None:
    manager, _ = make_plugin_manager([Routes("a", Weighted), Answers(RuntimeError()), Routes("b", Weighted)])
    ours = [(name, result) for name, result in each_result(manager, "grove_register_routers") if ":" not in name[:20]]
    assert sum(isinstance(result, PluginFailed) for _, result in ours) == 1
    assert {key for _, result in ours if isinstance(result, dict) for key in result} >= {"a", "b"}
    assert len({name for name, _ in ours}) == len(ours), "two objects of one class have names of their own"


def test_installed_plugins_are_loaded_and_broken_ones_told(
    package: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(name: str, source: str, target: str | None = None) -> None:
        entry = ENTRY.format(name=name, target=target or f"plugin_{name}")
        folder = package(distribution=f"dist-{name}", import_name=f"plugin_{name}", source=source, entry_points=entry)
        monkeypatch.syspath_prepend(str(folder))

    install("sound", SOUND)
    install("raises", "1 / 0")
    install("absent", "", "there_is_no_such_module")
    install("stops", "import sys\nraise ImportError('needs more')")
    install("exits", "raise SystemExit(3)")
    manager, records = make_plugin_manager()
    errors = {record.name: record.error for record in records if record.distribution.startswith("dist-")}
    assert errors["dist-sound:sound"] is None
    assert errors["dist-raises:raises"] == "ZeroDivisionError: division by zero"
    assert "ModuleNotFoundError" in (errors["dist-absent:absent"] or "")
    assert errors["dist-stops:stops"] == "ImportError: needs more"
    assert errors["dist-exits:exits"] == "SystemExit: 3"
    registered = Catalogue(manager).parts[PartKind.ROUTER, "from-a-package"]
    assert registered.plugin == "dist-sound:sound"
    assert registered.entry_point is None, "it is told by the records"
    parts = Catalogue(make_plugin_manager([Routes("mine", Weighted)])[0], records).parts
    assert parts[PartKind.ROUTER, "from-a-package"].entry_point == "plugin_sound"
    assert parts[PartKind.ROUTER, "mine"].entry_point is None, "an object cannot be imported"


@pytest.mark.parametrize(
    "entry_points", [b"[grove_core.plugins]\nx = y:\xff\n", "[grove_core.plugins]\nx\n"], ids=["no UTF-8", "no value"]
)
def test_metadata_that_cannot_be_read_is_told_and_the_others_count(
    package: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, entry_points: str | bytes
) -> None:
    monkeypatch.syspath_prepend(str(package(distribution="dist-broken", entry_points=entry_points)))
    stranger = package(distribution="stranger", entry_points=b"[console_scripts]\nx = y:\xff\n", metadata=b"\xff")
    (stranger / ".dist-info").mkdir()
    monkeypatch.syspath_prepend(str(stranger))
    _, records = make_plugin_manager()
    (broken,) = [record for record in records if record.error is not None]
    assert broken.distribution == "dist-broken"
    assert "entry_points.txt of" in (broken.error or "")
    assert "grove-core:routing" in {record.name for record in records}


def test_two_managers_know_nothing_of_each_other() -> None:
    with_one, without = catalogue(Routes("mine", Weighted)), catalogue()
    assert (PartKind.ROUTER, "mine") in with_one.parts
    assert (PartKind.ROUTER, "mine") not in without.parts
