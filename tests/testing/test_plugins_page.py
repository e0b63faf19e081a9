"""The page on plugins: what it writes from nothing works as it stands, and it leaves no hook or contract out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import grove_core.testing
from grove_core import Settings
from grove_core.parts import contracts, hookspecs, running, sinks

ROOT = Path(__file__).parents[2]
PROMISES = {**vars(contracts), **vars(sinks), **vars(running)}
PAGE = (ROOT / "docs" / "plugins.md").read_text("utf-8")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The files that the page shows, each under the name in its first line."""
    for block in re.findall(r"```(?:toml|python)\n(.*?)```", PAGE, re.DOTALL):
        name = block.splitlines()[0].removeprefix("# ")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(block, "utf-8")
    return tmp_path


@pytest.fixture
def run(written: Path) -> Run:
    """`run(*arguments)`: run Python where the package is installed, with the metadata that its pyproject tells."""
    project = tomllib.loads((written / "pyproject.toml").read_text("utf-8"))["project"]
    info = written / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    groups = project["entry-points"].items()
    text = "".join(f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in each.items()) for group, each in groups)
    (info / "entry_points.txt").write_text(text, "utf-8")
    path = os.pathsep.join([str(written), *filter(None, sys.path)])

    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", *arguments],
            cwd=written,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return start


def test_the_package_passes_its_tests(run: Run) -> None:
    ran = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "tests")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 passed" in ran.stdout, "three promises of the suite, and its own test"


def test_grove_plugins_shows_the_package(run: Run) -> None:
    ran = run("-c", "from grove_core.cli.main import main; main()", "plugins", "-o", "json")
    assert ran.returncode == 0, ran.stderr
    (shown,) = [each for each in json.loads(ran.stdout) if each["plugin"] == "grove-second-chance:second_chance"]
    assert "second-chance" in json.dumps(shown)


def test_the_package_s_settings_choose_it(written: Path) -> None:
    assert Settings.read(written / "grove.toml").fault_policy.use == "second-chance"


def test_the_page_names_every_hook_and_every_contract() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("grove_")}
    assert {hook for hook in hooks if f"`{hook}`" not in PAGE} == set()
    suites = {name.removesuffix("Conformance") for name in grove_core.testing.__all__ if name.endswith("Conformance")}
    assert suites <= set(PROMISES)
    for part in suites:
        calls = [name for name, each in vars(PROMISES[part]).items() if callable(each) and name[0] != "_"]
        assert f"`{part}Conformance`" in PAGE
        assert calls
        assert [call for call in calls if f".{call}`" not in PAGE] == [], part


def test_the_page_s_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
