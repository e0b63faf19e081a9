"""What an author's import costs: numpy and msgspec, and none of what the engine and the CLI need."""

from __future__ import annotations

import subprocess
import sys

import pytest

import grove_core

HEAVY = ("pluggy", "click", "rich", "structlog", "packaging", "importlib_metadata")


def loaded_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and return the names of all modules that are loaded then."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_an_author_imports_nothing_heavy() -> None:
    # Against the bare interpreter: what a .pth file of the environment loads is not our doing.
    ours = loaded_after("from grove_core import Module, Schema, Lens, Add") - loaded_after("import numpy, msgspec")
    assert "grove_core.author.module" in ours
    assert not [name for name in ours if name.split(".")[0] in HEAVY]
    assert not [name for name in ours if name.startswith(("grove_core.parts", "grove_core.wire"))]


def test_what_programs_need_comes_on_first_use() -> None:
    assert "packaging" in loaded_after("from grove_core import Settings; import grove_core.base.versions")
    assert "grove_core.parts.settings" in loaded_after("import grove_core; grove_core.Settings")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Engine'"):
        _ = grove_core.Engine


def test_every_author_name_is_exported() -> None:
    for name in (
        "Add",
        "Cast",
        "Column",
        "Drop",
        "Entities",
        "Lens",
        "Map",
        "Module",
        "Recode",
        "Rename",
        "Scale",
        "Schema",
    ):
        assert name in grove_core.__all__
        assert getattr(grove_core, name).__name__ == name
