"""Versions that are not installed: from a wheel, or a folder that `pip install --target` filled."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from grove_core.base.errors import (
    AmbiguousVersion,
    BrokenPackage,
    ConflictingPackages,
    LoadFailed,
    UnknownModule,
    UnknownVersion,
)

from .conftest import OpenEngine, Refused
from .sources import BOTH, MODULE, V1, V2

ONE, PATCH = Version("1.0.0"), Version("1.0.1")
PATCHED = V1.replace("n += 1", "n += 1000")


def unpacked() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("grove-*"))


def test_a_patch_release_from_a_wheel_beside_the_installed_one(open_engine: OpenEngine, wheel: Any) -> None:
    engine, before = open_engine(BOTH), unpacked()
    path = wheel(MODULE, "1.0.1", PATCHED)
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(4))
    report = engine.load_module_version(MODULE, 1, path=str(path))
    assert (report.version, report.distribution) == (PATCH, f"grove-{MODULE}-v1.0.1")
    with pytest.raises(AmbiguousVersion, match=r"1\.0\.0, 1\.0\.1"):
        engine.set_traffic_split(MODULE, {1: 1.0})
    engine.set_traffic_split(MODULE, {"1.0.0": 0.5, "1.0.1": 0.5})
    engine.tick(1.0)
    assert sorted(engine.entities(MODULE)["n"].tolist()) == [1, 1, 1000, 1000]
    assert len(unpacked() - before) == 1
    engine.close()
    assert unpacked() == before


def test_a_folder(open_engine: OpenEngine, package: Any) -> None:
    engine, before = open_engine({}), unpacked()
    folder = package(MODULE, "1.0.0", V1)
    package(MODULE, "2.0.0", V2, into=folder)
    engine.load_module_version(MODULE, 1, path=str(folder))
    engine.load_module_version(MODULE, 2, path=str(folder))
    engine.spawn(MODULE, id=range(4))
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.tick(1.0)
    assert sorted(engine.entities(MODULE)["n"].tolist()) == [1, 1, 100, 100]
    assert len(unpacked() - before) == 1, "both run from one copy"
    engine.close()
    assert unpacked() == before


def test_one_import_name_in_two_wheels(open_engine: OpenEngine, wheel: Any) -> None:
    engine = open_engine({})
    for number, source in (("1.0.0", V1), ("1.0.1", PATCHED)):
        path = wheel(MODULE, number, source, import_name="counter_code")
        engine.load_module_version(MODULE, number, path=str(path))
    engine.spawn(MODULE, id=range(4))
    engine.set_traffic_split(MODULE, {"1.0.0": 0.5, "1.0.1": 0.5})
    engine.tick(1.0)
    assert sorted(engine.entities(MODULE)["n"].tolist()) == [1, 1, 1000, 1000]


def test_a_wheels_version_that_failed_over_is_loaded_again_from_it(open_engine: OpenEngine, wheel: Any) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1, path=str(wheel(MODULE, "1.0.1", PATCHED)))
    engine.spawn(MODULE, id=range(4))
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(1.0)
    assert [rollback.target for rollback in report.rollbacks] == [PATCH]
    assert engine.entities(MODULE)["n"].tolist() == [1000] * 4


def test_wheels_that_cannot_be_used(open_engine: OpenEngine, refused: Refused, wheel: Any, tmp_path: Path) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    good = wheel(MODULE, "1.0.1", PATCHED)
    cut = tmp_path / "cut-1-py3-none-any.whl"
    cut.write_bytes(good.read_bytes()[:200])
    with refused(engine, BrokenPackage, "cut-1"):
        engine.load_module_version(MODULE, 1, path=str(cut))
    outside = tmp_path / "outside-1-py3-none-any.whl"
    with zipfile.ZipFile(outside, "w") as archive:
        archive.writestr("../escaped.py", "")
    with refused(engine, BrokenPackage, "outside", "escaped.py"):
        engine.load_module_version(MODULE, 1, path=str(outside))
    assert not (tmp_path.parent / "escaped.py").exists()
    plain = tmp_path / "plain-1-py3-none-any.whl"
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("plain.py", "")
    with refused(engine, BrokenPackage, "no .dist-info"):
        engine.load_module_version(MODULE, 1, path=str(plain))


def test_a_wheel_without_what_was_asked_for(open_engine: OpenEngine, refused: Refused, wheel: Any) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    with refused(engine, UnknownModule, MODULE, "other"):
        engine.load_module_version(MODULE, 1, path=str(wheel("other", "1.0.0", V1)))
    with refused(engine, UnknownVersion, MODULE, "2", "1.0.1"):
        engine.load_module_version(MODULE, 2, path=str(wheel(MODULE, "1.0.1", V1)))
    with refused(engine, LoadFailed, f"{MODULE}@1.0.2", "1/0"):
        engine.load_module_version(MODULE, 1, path=str(wheel(MODULE, "1.0.2", "x = 1/0")))


def test_two_distributions_of_one_version_in_a_folder(open_engine: OpenEngine, refused: Refused, package: Any) -> None:
    engine = open_engine({})
    folder = package(MODULE, "1.0.0", V1, distribution="one", import_name="one")
    package(MODULE, "1.0.0", V1, distribution="other", import_name="other", into=folder)
    with refused(engine, ConflictingPackages, "one 1.0.0", "other 1.0.0"):
        engine.load_module_version(MODULE, 1, path=str(folder))
