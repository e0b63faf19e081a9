"""Source folders: what pyproject.toml says plainly is read, and of everything else it is said what to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from grove_core.base.errors import BrokenPackage
from grove_core.parts import sources
from grove_core.parts.discovery import records_in

PROJECT = """
[project]
name = "grove-Ledger.one"
version = "1.2"
dependencies = ["numpy>=2"]
[project.entry-points."grove_core.modules"]
ledger = "ledger.main:Main"
"""
HATCH = "[tool.hatch.build.targets.wheel]\n"
Project = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """`project(toml, *files) -> root`: empty files."""

    def make(toml: str, *files: str) -> Path:
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "pyproject.toml").write_text(toml, "utf-8")
        return tmp_path

    return make


BESIDE = ("ledger/__init__.py", "tests/__init__.py", "setup.py", "build/lib/ledger/__init__.py", ".venv/x.py")


@pytest.mark.parametrize(
    ("more", "files", "folder", "names"),
    [
        ("", BESIDE, ".", ["ledger"]),
        ("", ("ledger.py", "other.py"), ".", ["ledger"]),
        ("", ("src/ledger/__init__.py", "src/also.py", "src/a.egg-info/x"), "src", ["also", "ledger"]),
        ("[tool.setuptools.package-dir]\n'' = 'lib'", ("lib/ledger/__init__.py", "ledger/x.py"), "lib", ["ledger"]),
        ("[tool.setuptools.packages.find]\nwhere = ['lib']", ("lib/ledger/__init__.py",), "lib", ["ledger"]),
        ("[tool.setuptools]\npackages = ['ledger', 'b.inner']", ("ledger/x.py", "b/x.py"), ".", ["b", "ledger"]),
        ("[tool.hatch.build]\npackages = ['a/ledger']", ("a/ledger/x.py",), "a", ["ledger"]),
        ("[tool.pdm.build]\npackage-dir = 'a'", ("a/ledger/x.py",), "a", ["ledger"]),
        ("[tool.uv.build-backend]\nmodule-root = 'a'", ("a/ledger/x.py",), "a", ["ledger"]),
        ("[tool.poetry]\npackages = [{include = 'ledger', from = 'a'}]", ("a/ledger/x.py",), "a", ["ledger"]),
        (
            "[tool.poetry]\npackages = [{include = 'ledger/**/*.py'}, {include = 'b', format = ['sdist', 'wheel']},"
            " {include = 'tests', from = 't', format = 'sdist'}]",
            ("ledger/x.py", "b/x.py"),
            ".",
            ["b", "ledger"],
        ),
        (HATCH + "packages = ['a/ledger', 'a/b']", ("a/ledger/x.py", "a/b/x.py"), "a", ["b", "ledger"]),
    ],
)
def test_packages_are_found_where_a_build_would(
    project: Project, more: str, files: tuple[str, ...], folder: str, names: list[str]
) -> None:
    root = project(PROJECT + more, *files)
    layout = sources.read(root).layout
    assert layout.base == root / folder
    assert sorted(name.removesuffix(".py") for name in layout.names) == names


def test_what_it_says_is_what_an_installation_would_say(project: Project, tmp_path: Path) -> None:
    root = project(PROJECT, "ledger/__init__.py")
    (tmp_path / "installed").mkdir()
    for name, text in sources.read(root).metadata.items():
        (tmp_path / "installed" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "installed" / name).write_text(text)
    (record,) = records_in([str(tmp_path / "installed")])
    assert (record.module, str(record.version), record.error) == ("ledger", "1.2", None)
    assert (record.distribution, record.entry_point) == ("grove-Ledger.one", "ledger.main:Main")


def test_a_folder_that_an_installer_filled_is_no_source(project: Project) -> None:
    root = project(PROJECT, "ledger/__init__.py")
    assert sources.is_source(root)
    (root / "ledger-1.dist-info").mkdir()
    assert not sources.is_source(root)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("half of a", "cannot be read"),
        ("", r"has no \[project\]; write .*pip install --target"),
        (PROJECT.replace('version = "1.2"', 'dynamic = ["version"]'), "dynamic version; write .*pip install --target"),
        (PROJECT.replace('version = "1.2"', ""), 'write version = "1.0.0"'),
        (PROJECT.replace("1.2", "one"), "'one', which is not of PEP 440's form"),
        (PROJECT.replace('name = "grove-Ledger.one"', ""), "has no project.name"),
        (PROJECT.replace("grove_core.modules", "other"), r'write \[project.entry-points."grove_core.modules"\]'),
        (PROJECT.replace('"ledger.main:Main"', "3"), "no table of names and texts"),
        (PROJECT.replace("ledger.main", "elsewhere.main"), "'elsewhere', which is neither .*package-dir"),
        (PROJECT + "[tool.hatch.build.targets.wheel]\npackages = ['a/ledger', 'b/x']", "one folder of its own"),
        (PROJECT + "[tool.setuptools.package-dir]\nledger = 'x'", "one folder of its own"),
        (PROJECT + "[tool.setuptools.packages.find]\nwhere = ['../x']", "one folder of its own"),
        (PROJECT + "[tool.poetry]\npackages = [{include = 'ledger', from = '../a'}]", "one folder of its own"),
        (PROJECT + "[tool.pdm]\nbuild = 'a'", "no table"),
        (PROJECT + "[tool]\nsetuptools = 3", "no table"),
    ],
)
def test_what_is_not_said_plainly_is_refused_with_what_to_write(project: Project, toml: str, told: str) -> None:
    root = project(toml, "ledger/__init__.py")
    with pytest.raises(BrokenPackage, match=told) as caught:
        sources.read(root)
    assert str(root / "pyproject.toml") in str(caught.value)
