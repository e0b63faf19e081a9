"""Imports go down only, strategies stay apart, and an `__init__` holds nothing but names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import grove_core

ROOT = Path(grove_core.__file__).parent
LEVELS = (
    {"base"},
    {"author", "parts"},
    {"memory", "wire", "rules"},
    {"routing", "migration", "collection", "judging", "faulting", "validating", "sinks", "isolation", "worker"},
    {"runtime"},
    {"rollouts", "configs", "durability", "store"},
    {"engine"},
    {"debug"},  # the same engine, with everything visible
    {"scenario", "web", "testing", "serving", "reporting"},
    {"cli"},
)
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}
RUNTIME = ("copies", "state", "rows", "orders", "loading", "ticking")
"""The folders of the runtime, each of which imports only those before it, but for what only types need."""
STRATEGIES = {"routing", "migration", "collection", "judging", "faulting", "validating", "sinks", "isolation"}
AUTHORS_NAMES = {
    "Add",
    "Cast",
    "Column",
    "Drop",
    "Entities",
    "Lens",
    "Map",
    "Module",
    "Needs",
    "Recode",
    "Rename",
    "Scale",
    "Schema",
    "World",
    "service",
}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def folder_of(dotted: str) -> str:
    return dotted.split(".")[1]


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names of our own modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("grove_core."))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            if node.module == "grove_core":
                yield from (f"grove_core.{alias.name}" for alias in node.names)
            elif node.module and node.module.startswith("grove_core."):
                yield node.module


def runtime_imports(path: Path) -> Iterator[str]:
    """Yield what a file imports of the runtime when it runs, wherever in it."""
    tree = ast.parse(path.read_text("utf-8"))
    checked = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    for_types = {id(node) for block in checked for node in ast.walk(block)}
    for node in ast.walk(tree):
        known = isinstance(node, ast.ImportFrom) and id(node) not in for_types
        if known and (node.module or "").startswith("grove_core.runtime"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    here = own(path)
    assert here in LEVEL, f"{here} has no level in the design"
    for dotted in imports(path):
        there = folder_of(dotted)
        if there in AUTHORS_NAMES:
            there = "author"
        assert there in LEVEL, f"{path} imports {dotted}, which has no level"
        if there != here:
            assert LEVEL[there] < LEVEL[here], f"{path} (level {LEVEL[here]}) imports {dotted} ({LEVEL[there]})"


@pytest.mark.parametrize("path", sorted((ROOT / "runtime").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_within_the_runtime_imports_go_down_only(path: Path) -> None:
    here = path.relative_to(ROOT / "runtime").parts[0].removesuffix(".py")
    for dotted in runtime_imports(path):
        there = dotted.split(".")[2]
        assert RUNTIME.index(there) <= RUNTIME.index(here), f"{path} imports {dotted}, which lies above it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_strategies_do_not_import_each_other(path: Path) -> None:
    here = own(path)
    if here in STRATEGIES:
        assert not {folder_of(dotted) for dotted in imports(path)} & (STRATEGIES - {here})


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/**/__init__.py")), ids=lambda path: path.parent.name)
def test_an_init_holds_nothing_but_names(path: Path) -> None:
    docstring, *rest = ast.parse(path.read_text("utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    for node in rest:
        is_all = isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]
        assert is_all or isinstance(node, ast.Import | ast.ImportFrom), f"{path}:{node.lineno}"


def test_the_test_sees_what_it_is_to_see() -> None:
    assert len(FILES) > 20
    assert "grove_core.base.errors" in set(imports(ROOT / "parts" / "discovery.py"))
    assert "grove_core.scenario.coexistence" in set(imports(ROOT / "cli" / "scenario.py")), "within a function"
