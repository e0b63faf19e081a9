"""Versions that are not installed: from a wheel, or a folder that `pip install --target` filled."""

from __future__ import annotations

import os
import shutil
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
    NothingToPatch,
    UnknownModule,
    UnknownVersion,
    UnsettledPackage,
)

from .conftest import OpenEngine, Refused, kill
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
    assert len(unpacked() - before) == 2, "what is installed runs from a copy, too"
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


def test_a_patch_from_the_wheel_that_runs_is_nothing_to_patch(open_engine: OpenEngine, wheel: Any) -> None:
    engine, before = open_engine({}), unpacked()
    path = wheel(MODULE, "1.0.0", V1)
    engine.load_module_version(MODULE, 1, path=str(path))
    os.utime(path)
    with pytest.raises(NothingToPatch, match="what runs already"):
        engine.patch_module_version(MODULE, 1)
    engine.patch_module_version(MODULE, 1, path=str(wheel(MODULE, "1.0.1", PATCHED)))
    with pytest.raises(NothingToPatch, match="what runs already"):
        engine.patch_module_version(MODULE, 1)
    assert len(unpacked() - before) == 2


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


def test_a_folder_without_any_package_is_refused_before_it_is_copied(
    open_engine: OpenEngine, refused: Refused, tmp_path: Path
) -> None:
    engine, given = open_engine(BOTH), tmp_path / "home"
    engine.load_module_version(MODULE, 1)
    given.mkdir()
    os.mkfifo(given / "no copy could be made of it")
    with refused(engine, BrokenPackage, f"no package is installed in {given}", "pyproject.toml", "--target"):
        engine.load_module_version(MODULE, "1.0.1", path=str(given))
    with refused(engine, BrokenPackage, f"no package is installed in {given}"):
        engine.patch_module_version(MODULE, 1, path=str(given))


def test_two_distributions_of_one_version_in_a_folder(open_engine: OpenEngine, refused: Refused, package: Any) -> None:
    engine = open_engine({})
    folder = package(MODULE, "1.0.0", V1, distribution="one", import_name="one")
    package(MODULE, "1.0.0", V1, distribution="other", import_name="other", into=folder)
    with refused(engine, ConflictingPackages, "one 1.0.0", "other 1.0.0"):
        engine.load_module_version(MODULE, 1, path=str(folder))


def rewritten(folder: Path, package: Any, source: str) -> None:
    shutil.rmtree(folder)
    package(MODULE, "1.0.0", source, into=folder)


def test_a_restarted_version_runs_what_it_ran_whatever_lies_on_disk_by_now(
    open_engine: OpenEngine, package: Any
) -> None:
    engine = open_engine({})
    folder = package(MODULE, "1.0.0", V1)
    engine.load_module_version(MODULE, 1, path=str(folder))
    engine.spawn(MODULE, id=[1])
    rewritten(folder, package, "half of a")
    kill(engine, ONE)
    assert [fault.kind.value for fault in engine.tick(1.0).faults] == ["death"]
    assert engine.entities(MODULE)["n"].tolist() == [1], "it was restarted, and did its tick"
    shutil.rmtree(folder)
    kill(engine, ONE)
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [2]


def test_a_folder_is_read_anew_at_each_load_and_its_former_copy_removed(open_engine: OpenEngine, package: Any) -> None:
    engine = open_engine(BOTH)
    folder = package(MODULE, "1.0.1", V1)
    engine.load_module_version(MODULE, 2)
    before = unpacked()
    engine.load_module_version(MODULE, "1.0.1", path=str(folder))
    (first,) = unpacked() - before
    engine.unload_module_version(MODULE, "1.0.1")
    shutil.rmtree(folder)
    package(MODULE, "1.0.1", PATCHED, into=folder)
    engine.load_module_version(MODULE, "1.0.1", path=str(folder))
    (second,) = unpacked() - before
    assert second != first
    engine.spawn(MODULE, id=[1])
    engine.set_traffic_split(MODULE, {"1.0.1": 1.0})
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [1000]


def test_a_half_installed_folder_is_refused_and_says_what_to_do(
    open_engine: OpenEngine, refused: Refused, package: Any
) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    folder = package(MODULE, "1.0.1", PATCHED)
    (record,) = folder.glob("*.dist-info/RECORD")
    record.write_text("counter_v1_0_1/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n")
    with refused(engine, UnsettledPackage, "__init__.py is not the one that", "install it anew"):
        engine.load_module_version(MODULE, "1.0.1", path=str(folder))


def test_what_a_copy_tells_is_told_of_the_folder_that_was_given(open_engine: OpenEngine, package: Any) -> None:
    engine = open_engine({})
    folder = package(MODULE, "1.0.0", V1, metadata="Metadata-Version: 2.1\nName: x\nVersion: one\n")
    with pytest.raises(BrokenPackage) as caught:
        engine.load_module_version(MODULE, 1, path=str(folder))
    assert str(folder) in str(caught.value)
