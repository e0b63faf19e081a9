"""Copies of folders: whole, of one moment, and refused while somebody writes or an installation broke off."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.errors import BrokenPackage, UnsettledPackage
from grove_core.parts.folders import (
    QUIET_SECONDS,
    copy,
    digest,
    refuse_changed,
    refuse_fresh,
    scan,
    vouched_for,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "given"
    for name, text in {"code/__init__.py": "a = 1", "code/deep/b.py": "b = 2", "code/__pycache__/b.pyc": "?"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def copied(root: Path, into: Path) -> dict[str, bytes]:
    into.mkdir()
    return copy(root, scan(root), into)


def test_a_copy_has_every_file_but_what_python_compiled(folder: Path, tmp_path: Path) -> None:
    hashes = copied(folder, tmp_path / "copy")
    assert set(hashes) == {"code/__init__.py", "code/deep/b.py"}
    assert hashes["code/__init__.py"] == hashlib.sha256(b"a = 1").digest()
    assert (tmp_path / "copy/code/deep/b.py").read_text() == "b = 2"
    assert not (tmp_path / "copy/code/__pycache__").exists()


def test_what_changed_only_just_now_is_not_trusted(folder: Path) -> None:
    with pytest.raises(UnsettledPackage, match="being written"):
        refuse_fresh(folder, scan(folder))


def test_what_rests_is_trusted_however_its_times_were_set(folder: Path) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            refuse_fresh(folder, scan(folder))
            break
        except UnsettledPackage:
            assert time.monotonic() < end, "nobody writes it"
    inner = folder / "code/__init__.py"
    os.utime(inner, (0, 0))
    with pytest.raises(UnsettledPackage, match="__init__"):
        refuse_fresh(folder, scan(folder))
    assert QUIET_SECONDS < 1


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "code/__init__.py").write_text("a = 2"),
        lambda root: (root / "code/new.py").write_text(""),
        lambda root: (root / "code/deep/b.py").unlink(),
        lambda root: (root / "code").rename(root / "edoc"),
        lambda root: os.utime(root / "code/__init__.py", (0, 0)),
    ],
    ids=["contents", "one more", "one fewer", "renamed", "times"],
)
def test_what_changed_since_it_was_scanned_is_refused(folder: Path, change: object) -> None:
    before = scan(folder)
    refuse_changed(folder, before)
    time.sleep(0.02)  # the kernel's clock of files stands still for up to 10 ms; `refuse_fresh` waits longer
    change(folder)  # type: ignore[operator]
    with pytest.raises(UnsettledPackage, match="being written"):
        refuse_changed(folder, before)


def test_a_file_that_vanished_is_a_package_that_is_being_written(folder: Path, tmp_path: Path) -> None:
    before = scan(folder)
    (folder / "code/deep/b.py").unlink()
    (tmp_path / "copy").mkdir()
    with pytest.raises(UnsettledPackage, match="vanished"):
        copy(folder, before, tmp_path / "copy")
    with pytest.raises(UnsettledPackage, match="vanished"):
        scan(folder / "nowhere")


def test_what_is_no_file_is_refused_instead_of_read(folder: Path) -> None:
    os.mkfifo(folder / "code/pipe")
    with pytest.raises(BrokenPackage, match="pipe is neither"):
        scan(folder)


def test_programs_stay_executable(folder: Path, tmp_path: Path) -> None:
    (folder / "code/deep/b.py").chmod(0o755)
    copied(folder, tmp_path / "copy")
    assert os.access(tmp_path / "copy/code/deep/b.py", os.X_OK)
    assert not (tmp_path / "copy/code/__init__.py").stat().st_mode & 0o111


def test_a_link_that_leads_nowhere_is_named(folder: Path) -> None:
    (folder / "code/gone.py").symlink_to(folder / "nowhere.py")
    with pytest.raises(BrokenPackage, match=r"code/gone\.py is a link that leads nowhere"):
        scan(folder)


def test_where_a_copy_cannot_be_written_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "full").write_text("no folder, as a disk that is full")
    with pytest.raises(BrokenPackage, match=r"cannot be copied into .*full, the folder for temporary files \(TMPDIR\)"):
        copy(folder, scan(folder), tmp_path / "full" / "copy")


def test_links_are_followed_but_not_round_in_circles(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.py").write_text("c = 3")
    (folder / "code/linked").symlink_to(elsewhere)
    assert "code/linked/c.py" in copied(folder, tmp_path / "copy")
    (folder / "code/round").symlink_to(folder)
    with pytest.raises(BrokenPackage, match="lies in"):
        scan(folder)


names = st.text("abc", min_size=1, max_size=3)


@given(st.dictionaries(names, st.binary(max_size=4).map(lambda text: hashlib.sha256(text).digest()), max_size=4))
def test_a_digest_is_that_of_names_and_contents_and_of_nothing_else(hashes: dict[str, bytes]) -> None:
    assert digest(hashes) == digest(dict(reversed(hashes.items())))
    for name in hashes:
        without = {other: each for other, each in hashes.items() if other != name}
        assert digest(without) != digest(hashes) != digest({**without, f"{name}x": hashes[name]})
        assert digest({**hashes, name: bytes(32)}) != digest(hashes)


def record(root: Path, rows: str) -> None:
    info = root / "code-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "RECORD").write_text(rows)


def row(root: Path, name: str) -> str:
    sha = base64.urlsafe_b64encode(hashlib.sha256((root / name).read_bytes()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={sha},5\n"


def check(root: Path, into: Path) -> bool:
    return vouched_for(root, into, copied(root, into))


def test_files_that_are_those_of_the_record_are_taken(folder: Path, tmp_path: Path) -> None:
    outside = "../../bin/tool,sha256=AAAA,1\n/etc/passwd,sha256=AAAA,1\ncode/__pycache__/b.pyc,sha256=AAAA,1\n"
    unknown = "code/deep/b.py,md5=AAAA,5\ncode-1.dist-info/RECORD,,\n"
    record(folder, row(folder, "code/__init__.py") + outside + unknown)
    assert not check(folder, tmp_path / "copy"), "nobody vouches for code/deep/b.py"
    record(folder, row(folder, "code/__init__.py") + row(folder, "code/deep/b.py"))
    assert check(folder, tmp_path / "other")


def test_a_folder_with_no_record_and_an_empty_one_are_vouched_for_by_nobody(folder: Path, tmp_path: Path) -> None:
    assert not check(folder, tmp_path / "copy")
    (tmp_path / "empty").mkdir()
    assert not check(tmp_path / "empty", tmp_path / "other")


@pytest.mark.parametrize("what", ["another", "missing", "cut", "no text"])
def test_a_broken_installation_is_refused(folder: Path, tmp_path: Path, what: str) -> None:
    record(folder, row(folder, "code/__init__.py") + row(folder, "code/deep/b.py"))
    if what == "another":
        (folder / "code/__init__.py").write_text("a = 7")
    elif what == "missing":
        (folder / "code/deep/b.py").unlink()
    elif what == "cut":
        record(folder, row(folder, "code/__init__.py")[:20])
    else:
        (folder / "code-1.dist-info/RECORD").write_bytes(b"\xff\xfe")
    with pytest.raises(UnsettledPackage, match="RECORD"):
        check(folder, tmp_path / "copy")
