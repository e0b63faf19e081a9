"""The suites need pytest and hypothesis; nothing else of grove-core does."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grove_core

WITHOUT = """
import importlib, sys
for name in ("pytest", "_pytest", "hypothesis"):
    sys.modules[name] = None  # to import it raises
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def run(*names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT, *names], capture_output=True, text=True, check=False)


def test_everything_but_the_suites_can_be_imported_without_them() -> None:
    names = [each.name for each in pkgutil.walk_packages(grove_core.__path__, "grove_core.")]
    rest = [name for name in names if not name.startswith("grove_core.testing")]
    assert len(rest) > 50
    assert len(rest) < len(names)
    ran = run(*rest)
    assert ran.returncode == 0, ran.stderr


def test_the_suites_cannot() -> None:
    assert "pytest" in run("grove_core.testing").stderr


def test_they_are_an_extra_of_the_package() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text("utf-8"))["project"].get("optional-dependencies", {})
    assert {requirement.partition(">=")[0] for requirement in extras["testing"]} == {"hypothesis", "pytest"}
