"""A wheel becomes a folder, or nothing."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grove_core.base.errors import BrokenPackage, UnknownModule
from grove_core.parts.discovery import records_in
from grove_core.parts.wheels import DEEPEST, LARGEST, MOST, is_wheel, unpack
from grove_core.runtime.copies.packages import Packages


def archive(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path


def test_a_wheel_is_unpacked_and_found(wheel: Callable[..., Path], tmp_path: Path) -> None:
    path = wheel("ledger", "1.2.0")
    assert is_wheel(path)
    unpack(path, tmp_path / "into")
    (record,) = records_in([str(tmp_path / "into")])
    assert (record.module, str(record.version), record.error) == ("ledger", "1.2.0", None)
    assert (tmp_path / "into" / "ledger_v1_2_0" / "__init__.py").is_file()


def test_what_is_no_wheel(tmp_path: Path) -> None:
    assert not is_wheel(tmp_path)
    (tmp_path / "folder.whl").mkdir()
    assert not is_wheel(tmp_path / "folder.whl")
    assert not is_wheel(tmp_path / "a.zip")
    assert is_wheel(str(tmp_path / "missing.whl"))
    assert is_wheel(tmp_path / f"{'long' * 100}.whl")


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".whl", "a\0b", "a\0b.whl"])
def test_a_path_that_there_cannot_be_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownModule, match=r"there is no wheel|is neither a wheel"):
        Packages().records(tmp_path / name)


def test_programs_stay_executable(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", **{"a-1.dist-info/METADATA": "", "a/plain": "1"})
    with zipfile.ZipFile(path, "a") as made:
        program = zipfile.ZipInfo("a/program")
        program.external_attr = 0o100755 << 16
        made.writestr(program, "2")
    unpack(path, tmp_path / "into")
    assert os.access(tmp_path / "into/a/program", os.X_OK)
    assert not (tmp_path / "into/a/plain").stat().st_mode & 0o111


def test_modules_of_a_data_folder_come_along_and_scripts_stay(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "a.whl",
        **{
            "a-1.dist-info/METADATA": "",
            "a-1.data/purelib/a/__init__.py": "1",
            "a-1.data/platlib/a/b.py": "2",
            "a-1.data/scripts/run": "3",
            "a-1.data/stray": "4",
        },
    )
    unpack(path, tmp_path / "into")
    files = sorted(str(f.relative_to(tmp_path / "into")) for f in (tmp_path / "into").rglob("*") if f.is_file())
    assert files == ["a-1.dist-info/METADATA", "a/__init__.py", "a/b.py"]


@pytest.mark.parametrize("name", ["../evil.py", "a/../../evil.py", "/evil.py", "a\\..\\evil.py"])
def test_a_path_that_escapes_is_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.whl", **{"a-1.dist-info/METADATA": "", name: "evil"})
    with pytest.raises(BrokenPackage, match="outside its folder"):
        unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()
    assert not list(tmp_path.rglob("*evil*"))


def broken_checksum(good: bytes) -> bytes:
    return good.replace(b"the content", b"THE CONTENT")


@pytest.mark.parametrize("damage", [lambda good: good[:40], lambda good: b"", lambda good: b"no zip", broken_checksum])
def test_a_damaged_wheel_leaves_nothing(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = archive(tmp_path / "a.whl", **{"a-1.dist-info/METADATA": "", "a.py": "the content"})
    good = path.read_bytes()
    assert damage(good) != good
    path.write_bytes(damage(good))
    with pytest.raises(BrokenPackage, match=r"a\.whl cannot be unpacked"):
        unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def no_utf8_name(good: bytes) -> bytes:
    """The bit that says that names are UTF-8 is set, in the local header and in the directory, and they are not."""
    damaged = bytearray(good.replace(b"a.py", b"\xff.py"))
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = damaged.rindex(signature)
        damaged[at + flags + 1] |= 0x08
    return bytes(damaged)


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", **{"a-1.dist-info/METADATA": "", "a.py": "the content"})
    path.write_bytes(no_utf8_name(path.read_bytes()))
    with pytest.raises(BrokenPackage, match=r"a\.whl cannot be unpacked: 'utf-8' codec"):
        unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def claiming(path: Path, size: int) -> Path:
    """A wheel whose directory claims that its last file has so many bytes."""
    archive(path, **{"a-1.dist-info/METADATA": "", "a.py": "x"})
    damaged = bytearray(path.read_bytes())
    at = damaged.rindex(b"PK\1\2")
    damaged[at + 24 : at + 28] = size.to_bytes(4, "little")
    path.write_bytes(bytes(damaged))
    return path


def test_a_wheel_that_would_fill_the_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenPackage, match=rf"has 2 files of {LARGEST + 1} bytes; .* are the most"):
        unpack(claiming(tmp_path / "a.whl", LARGEST + 1), tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_a_wheel_of_very_many_files_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", **{"a-1.dist-info/METADATA": "", **{str(n): "" for n in range(MOST)}})
    with pytest.raises(BrokenPackage, match=rf"has {MOST + 1} files"):
        unpack(path, tmp_path / "into")


def test_a_file_in_very_many_folders_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", **{"a-1.dist-info/METADATA": "", "a/" * DEEPEST + "b": ""})
    with pytest.raises(BrokenPackage, match="in more than 50 folders"):
        unpack(path, tmp_path / "into")


@pytest.mark.parametrize("second", ["a.py", "./a.py", "a-1.data/purelib/a.py"])
def test_two_files_for_one_place_are_refused(tmp_path: Path, second: str) -> None:
    path = archive(tmp_path / "a.whl", **{"a-1.dist-info/METADATA": "", "a.py": "1"})
    with zipfile.ZipFile(path, "a") as made, warnings.catch_warnings(action="ignore"):
        made.writestr(second, "2")
    with pytest.raises(BrokenPackage, match=r"holds 'a\.py' twice"):
        unpack(path, tmp_path / "into")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_compressed_as_in_no_wheel_is_refused(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "a.whl", **{"a-1.dist-info/METADATA": ""})
    with zipfile.ZipFile(path, "a", method) as made:
        made.writestr("a.py", "1")
    with pytest.raises(BrokenPackage, match="neither stored nor deflated"):
        unpack(path, tmp_path / "into")


def test_a_missing_wheel_and_a_plain_zip_are_told(tmp_path: Path) -> None:
    with pytest.raises(BrokenPackage, match="No such file"):
        unpack(tmp_path / "a.whl", tmp_path / "into")
    with pytest.raises(BrokenPackage, match=r"no \.dist-info"):
        unpack(archive(tmp_path / "b.whl", **{"a.py": ""}), tmp_path / "into")


def test_a_folder_in_use_is_left_as_it_is(wheel: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "mine").write_text("kept")
    with pytest.raises(FileExistsError):
        unpack(wheel(), tmp_path / "into")
    assert (tmp_path / "into" / "mine").read_text() == "kept"
