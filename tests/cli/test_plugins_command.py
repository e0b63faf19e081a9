"""`grove plugins`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from grove_core.cli.main import main

ROUTERS = """
from grove_core.parts.hookspecs import hookimpl

@hookimpl
def grove_register_routers():
    return {names!r}
"""
RAISES = ROUTERS.replace("return {names!r}", "raise RuntimeError('boom')")
HOLDS = (
    RAISES
    + """
@hookimpl
def grove_register_holds():
    return {"still": object}

@hookimpl
def grove_discover_versions():
    return []
"""
)
Install = Callable[[str, str], None]


@pytest.fixture
def install(package: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install(name, source)`: a plugin `dist-NAME:NAME`."""

    def make(name: str, source: str) -> None:
        entry = f"[grove_core.plugins]\n{name} = plugin_for_{name}\n"
        folder = package(
            import_name=f"plugin_for_{name}", source=source, distribution=f"dist-{name}", entry_points=entry
        )
        monkeypatch.syspath_prepend(str(folder))

    return make


def plugins() -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(main, ["plugins", "-o", "json"])
    assert result.exit_code == 0
    return {each["plugin"]: each for each in json.loads(result.stdout)}


def test_the_parts_of_each_plugin_are_shown_by_kind_and_name(install: Install) -> None:
    install("routes", ROUTERS.format(names={"zigzag": int, "around": int}).replace("<class 'int'>", "int"))
    assert plugins()["dist-routes:routes"] == {
        "plugin": "dist-routes:routes",
        "distribution": "dist-routes",
        "entry_point": "plugin_for_routes",
        "parts": {"router": ["around", "zigzag"]},
        "versions": None,
        "errors": [],
    }
    table = CliRunner().invoke(main, ["plugins"]).stdout
    assert "router: around, zigzag" in table


def test_what_is_broken_is_shown_and_the_rest_counts(install: Install) -> None:
    install("absent", "import there_is_no_such_module")
    install("raises", HOLDS)
    shown = plugins()
    (error,) = shown["dist-absent:absent"]["errors"]
    assert error.startswith("ModuleNotFoundError")
    raising = shown["dist-raises:raises"]
    assert raising["parts"] == {"hold": ["still"]}
    assert raising["versions"] == 0
    assert raising["errors"] == ["grove_register_routers raised RuntimeError: boom"]


def test_a_name_that_two_register_is_shown_with_both(install: Install) -> None:
    for name in ("east", "west"):
        install(name, ROUTERS.format(names={"zigzag": 1}))
    shown = plugins()
    for name in ("dist-east:east", "dist-west:west"):
        (error,) = shown[name]["errors"]
        assert "'zigzag' is registered by" in error
        assert "dist-east:east" in error
        assert "dist-west:west" in error


def test_the_built_in_parts_come_through_the_same_hooks() -> None:
    shown = plugins()
    if not any(each["distribution"] == "grove-core" for each in shown.values()):
        pytest.skip("grove-core is on the path, but not installed")
    parts = {
        (kind, name)
        for each in shown.values()
        if each["distribution"] == "grove-core"
        for kind, names in each["parts"].items()
        for name in names
    }
    assert parts >= {
        ("router", "quota"),
        ("router", "modulo"),
        ("gc_policy", "idle"),
        ("hold", "stable"),
        ("fault_policy", "immediate"),
        ("isolation", "process"),
    }
    assert shown["grove-core:discovery"]["versions"] is not None
    assert [each["errors"] for each in shown.values() if each["distribution"] == "grove-core" and each["errors"]] == []
