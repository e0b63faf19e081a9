"""`grove versions`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from grove_core.cli.main import main

Package = Callable[..., Path]


def versions(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["versions", *map(str, arguments)])


@pytest.fixture
def site(package: Package, tmp_path: Path) -> Path:
    """A folder with two sound versions, a broken one, and another module."""
    site = tmp_path / ("a-folder-with-a-rather-long-name-" * 4) / "site"
    package("ledger", "1.0.0", into=site)
    package("ledger", "2.0.0", into=site)
    package(
        "ledger",
        "3.0.0",
        distribution="broken",
        entry_points="[grove_core.modules]\nledger = [x]\n",
        into=site,
    )
    package("audit", "1.0.0", into=site)
    return site


def test_every_version_is_a_line_and_nothing_is_cut(site: Path) -> None:
    result = versions("--path", site)
    assert result.exit_code == 0
    title, *lines = result.stdout.splitlines()
    assert title.split()[:3] == ["MODULE", "VERSION", "DISTRIBUTION"]
    assert [line.split()[:2] for line in lines] == [
        ["audit", "1.0.0"],
        ["ledger", "1.0.0"],
        ["ledger", "2.0.0"],
        ["ledger", "3.0.0"],
    ]
    assert all(str(site) in line for line in lines)
    assert "grove-ledger-v1.0.0  ledger_v1_0_0:Main" in lines[1]
    assert "'[x]' does not name a class, as in package:Class" in lines[3]


def test_one_module_may_be_asked_for(site: Path) -> None:
    result = versions("audit", "--path", site)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert "ledger" not in result.stdout


def test_json_is_for_programs(site: Path) -> None:
    documents = json.loads(versions("ledger", "--path", site, "-o", "json").stdout)
    assert [document["version"] for document in documents] == ["1.0.0", "2.0.0", "3.0.0"]
    assert documents[0] == {
        "module": "ledger",
        "version": "1.0.0",
        "distribution": "grove-ledger-v1.0.0",
        "entry_point": "ledger_v1_0_0:Main",
        "location": str(site),
        "path": [str(site)],
        "error": None,
        "dist_info": str(site / "grove_ledger_v1_0_0-1.0.0.dist-info"),
    }
    assert "[x]" in documents[2]["error"]


def test_a_version_that_cannot_be_read_is_null(package: Package) -> None:
    folder = package(metadata="Name: grove-ledger\nVersion: newest\n")
    (document,) = json.loads(versions("--path", folder, "-o", "json").stdout)
    assert document["version"] is None
    assert "newest" in document["error"]
    assert "  ?  " in versions("--path", folder).stdout


def test_conflicts_name_both(package: Package, tmp_path: Path) -> None:
    for name in ("one", "two"):
        package(distribution=f"grove-{name}", import_name=name, into=tmp_path / "site")
    for line in versions("--path", tmp_path / "site").stdout.splitlines()[1:]:
        assert "is claimed by grove-one" in line
        assert "and by grove-two" in line


def test_several_folders_are_searched_in_order(package: Package) -> None:
    one, two = package("ledger", "1.0"), package("audit", "1.0")
    assert len(versions("--path", one, "--path", two).stdout.splitlines()) == 3


def test_an_unknown_module_is_not_found(site: Path) -> None:
    result = versions("zoo", "--path", site)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "Error: zoo: no version of it was found; there are: audit, ledger\n"


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    assert versions("--path", tmp_path / "nowhere").exit_code == 2


def test_nothing_found_is_said(tmp_path: Path) -> None:
    assert versions("--path", tmp_path).stdout.startswith("No versions were found.")
    assert json.loads(versions("--path", tmp_path, "-o", "json").stdout) == []


def test_plugins_that_discover_are_asked_and_broken_ones_are_told(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
from packaging.version import Version
from grove_core.base.records import VersionRecord
from grove_core.parts.hookspecs import hookimpl

@hookimpl
def grove_discover_versions():
    return [VersionRecord("elsewhere", Version("7.0"), "from-a-plugin", "far.away:Main", "a registry")]
"""
    for name, text in (("finder", source), ("raiser", "1 / 0")):
        folder = package(
            import_name=name,
            source=text,
            distribution=f"dist-{name}",
            entry_points=f"[grove_core.plugins]\n{name} = {name}\n",
        )
        monkeypatch.syspath_prepend(str(folder))
    result = versions("elsewhere")
    assert result.exit_code == 0
    assert "from-a-plugin" in result.stdout
    assert "Warning: the plugin dist-raiser:raiser cannot be loaded: ZeroDivisionError" in result.stderr


@pytest.mark.parametrize("columns", [100, 1000], ids=["folded", "wide"])
def test_a_terminal_gets_a_box_and_nothing_is_cut(site: Path, columns: int) -> None:
    ours, theirs = pty.openpty()
    code = "from grove_core.cli.main import main; main()"
    command = [sys.executable, "-c", code, "versions", "ledger", "--path", str(site)]
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        shown = b""
        while chunk := read(ours):
            shown += chunk
    os.close(ours)
    text = shown.decode()
    assert running.returncode == 0
    assert "│" in text
    assert "…" not in text
    if columns == 1000:  # where nothing is folded, the folder stands whole in each row
        assert text.count("a-folder") >= 4


def read(terminal: int) -> bytes:
    """Read what there is; the end of a terminal is an error on Linux."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
