"""What is imported is the version's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from grove_core.base.errors import PackageError
from grove_core.worker.importing import imported

SOURCE = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f4")
"""


def test_a_package_without_init_gives_way_to_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    (own / "gives_way").mkdir(parents=True)
    (own / "gives_way" / "part.py").write_text(SOURCE)
    (other / "gives_way").mkdir(parents=True)
    (other / "gives_way" / "__init__.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(other))
    monkeypatch.syspath_prepend(str(own))
    with pytest.raises(PackageError, match=r"own/gives_way has no __init__\.py"):
        imported("gives_way:Main", [str(own)])


def test_a_namespace_of_its_own_and_a_class_of_a_dependency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    (own / "shared_space" / "mine").mkdir(parents=True)
    (own / "shared_space" / "mine" / "__init__.py").write_text(SOURCE)
    (other / "lies_elsewhere").mkdir(parents=True)
    (other / "lies_elsewhere" / "__init__.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(other))
    monkeypatch.syspath_prepend(str(own))
    for entry_point in ("shared_space.mine:Main", "lies_elsewhere:Main"):
        assert imported(entry_point, [str(own)]).__name__ == "Main"
