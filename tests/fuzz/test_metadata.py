"""Distributions and wheels of any content are records, broken ones with their cause; nothing is run or left behind."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.errors import BrokenPackage, GroveError
from grove_core.base.records import VersionRecord
from grove_core.parts.choosing import choose
from grove_core.parts.discovery import records_in
from grove_core.parts.plugins import make_plugin_manager
from grove_core.runtime.copies.packages import Packages

from .budget import budget

SOURCE = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\nraise SystemExit('it was run')\n"
"""What leaves a trace, and ends the tests, where it is imported."""
METADATA = b"Metadata-Version: 2.1\nName: grove-ledger\nVersion: 1.0.0\n"
ENTRIES = b"[grove_core.modules]\nledger = pkg:Main\n"
RECORD = b"pkg/__init__.py,,\nledger-1.0.0.dist-info/RECORD,,\n"
HEADERS = [b"Name: x", b"Name:", b"Name", b"Version: 1", b"Version: 1.0+a", b"Version: next", b"Version:"]
PARTED = [
    b"",
    b"\0",
    b"Content-Type: multipart/mixed; boundary=a",
    b"--a",
    b"--a--",
    b" ",
    b"\xff: \xff",
    b"Version: " + b"9" * 5000,
]
GROUPS = [b"[grove_core.modules]", b"[grove_core.modules", b"[[grove_core.modules]]", b"[]", b"# m = a:B"]
POINTS = b"ledger = pkg:Main|ledger=pkg|ledger|= pkg:Main|a.b = pkg:Main [x]|\xc3\xa9 = p:M|m = :|m = os:system"
FILES = [
    b"pkg/__init__.py,,",
    b'"pkg/__init__.py',
    b",,,",
    b"../__init__.py,,",
    b"/__init__.py,,",
    b'"',
    b"\r",
    b"\n,\r",
]
LINES = st.sampled_from([b"Version: " + b"9" * 5000, *HEADERS, *PARTED, *GROUPS, *POINTS.split(b"|"), *FILES])
ORDINARY = b"grove_ledger-1.0.0|ledger-2|a-1-2-3|a b-1|\xc3\xa9-1|..-1|x|-1|-||\xff-1".split(b"|")
STRANGE = [b"X-1.DIST-INFO", b"a-1.egg-info", b".egg-info", b"EGG-INFO", b"n" * 200 + b".dist-info"]
NAMES = st.sampled_from([*(name + b".dist-info" for name in ORDINARY), *STRANGE])


@st.composite
def texts(draw: st.DrawFn, sound: bytes) -> bytes | None:
    """Return a file's content: sound, sound but for some lines, bytes of any sort, or None for no file."""
    match draw(st.integers(0, 9)):
        case 0:
            return None
        case 1:
            return draw(st.binary(max_size=60))
        case 2 | 3 | 4:
            return sound
        case _:
            lines = sound.splitlines()
            for line in draw(st.lists(LINES, max_size=4)):
                lines.insert(draw(st.integers(0, len(lines))), line)
            return b"\n".join(lines[draw(st.integers(0, 1)) :])


INFO = st.fixed_dictionaries({"METADATA": texts(METADATA), "entry_points.txt": texts(ENTRIES), "RECORD": texts(RECORD)})
SITES = st.dictionaries(NAMES, INFO | st.binary(max_size=80), max_size=4)


Site = dict[bytes, dict[str, bytes | None] | bytes]


def write(site: bytes, name: bytes, content: dict[str, bytes | None] | bytes) -> None:
    """Write a distribution's metadata: a folder of files, or one file."""
    path = os.path.join(site, name)  # noqa: PTH118  pathlib takes no bytes
    if isinstance(content, bytes):
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)
        return
    os.mkdir(path)  # noqa: PTH102
    for each, text in content.items():
        if text is not None:
            Path(os.fsdecode(path), each).write_bytes(text)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder, where new temporary ones lie as well; what is run in it is found out."""
    with tempfile.TemporaryDirectory() as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", made)
        yield Path(made)
        assert not list(Path(made).rglob("ran")), "nothing is run"
        assert "pkg" not in sys.modules


def check(records: list[VersionRecord]) -> None:
    for record in records:
        assert record.error is None or record.error
        assert (record.version is not None and record.entry_point) or record.error
    for module in {record.module for record in records} | {"ledger"}:
        for requirement in (1, "1.0.0", ">=0"):
            try:
                chosen = choose(records, module, requirement)
            except GroveError as error:
                assert str(error)
                continue
            assert chosen.error is None


@budget(120)
@given(SITES, SITES)
def test_any_metadata_is_records(one: Site, two: Site) -> None:
    with folder() as made:
        for number, dists in enumerate((one, two)):
            site = made / str(number)
            site.mkdir()
            (site / "pkg").mkdir()
            (site / "pkg" / "__init__.py").write_text(SOURCE)
            for name, content in dists.items():
                write(os.fsencode(site), name, content)
        sites = [str(made / "0"), str(made / "1")]
        check(records_in(sites))
        assert [record for record in records_in(sites[:1]) if record.path != (sites[0],)] == []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "path", sites)
            check(records_in(None))
            _, plugins = make_plugin_manager()
        assert plugins == []


INSIDE = ["pkg/__init__.py", "pkg/a.py", "a.py", "pkg", "pkg/", "./a.py", "a//b", "é.py", "pkg/__init__.py/c", "~/ran"]
DATA = ["x-1.data/purelib/pkg/b.py", "x-1.data/scripts/run", "x-1.data/purelib/", "x-1.data", "x-1.data/purelib/a.py"]
OUTSIDE = ["../ran", "a/../../ran", "/ran", "\\..\\ran", "x-1.data/purelib/../../../ran", ".", "", "/"]
PLACES = st.sampled_from([*INSIDE, *DATA, *OUTSIDE, "n" * 300, "a/" * 60 + "b", "C:/ran", "a\0b"])
"""Where files of an archive say that they go."""


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Return an archive near to a wheel: places of all sorts, links, what stands twice, and methods of all sorts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made, warnings.catch_warnings(action="ignore"):
        if draw(st.integers(0, 7)):
            for name, content in draw(INFO).items():
                made.writestr(f"ledger-1.0.0.dist-info/{name}", content or b"")
            made.writestr("pkg/__init__.py", SOURCE)
        for place in draw(st.lists(PLACES, max_size=3)):
            member = zipfile.ZipInfo(place)
            member.external_attr = draw(st.sampled_from([0, stat.S_IFLNK << 16, stat.S_IFREG << 16, 0x10]))
            member.compress_type = draw(st.sampled_from([0, 8, 8, 12, 14]))
            made.writestr(member, draw(st.sampled_from([b"", b"../../ran", b"/etc/passwd", b"x" * 5000])))
    return buffer.getvalue()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return an archive some bytes of which were changed, most of them in its headers, or cut out."""
    content = bytearray(draw(archives()))
    headers = [at for mark in (b"PK\3\4", b"PK\1\2", b"PK\5\6") for at in places_of(bytes(content), mark)]
    for _ in range(draw(st.integers(0, 3))):
        near = draw(st.sampled_from(headers)) + draw(st.integers(4, 50)) if headers else 0
        at = min(draw(st.just(near) | st.integers(0, len(content))), len(content))
        size = draw(st.integers(0, 4))
        content[at : at + size] = draw(st.binary(max_size=4) | st.just(b"\xff" * size))
    return bytes(content)


def places_of(content: bytes, mark: bytes) -> Iterator[int]:
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)


@budget(200)
@given(archives() | damaged() | st.binary(max_size=100))
def test_any_wheel_is_unpacked_into_its_folder_or_leaves_nothing(content: bytes) -> None:
    with folder() as made:
        wheel = made / "ledger-1.0.0-py3-none-any.whl"
        wheel.write_bytes(content)
        packages = Packages()
        try:
            records = packages.records(wheel)
        except BrokenPackage as error:
            assert str(wheel) in str(error)
            assert list(made.iterdir()) == [wheel]
        else:
            check(records)
            unpacked = {each for each in made.iterdir() if each != wheel}
            assert len(unpacked) == 1
            assert all(each.is_dir() or each.is_file() for each in made.rglob("*"))
            assert not any(each.is_symlink() for each in made.rglob("*"))
        packages.close()
        assert list(made.iterdir()) == [wheel]


PATHS = ["a.whl", "a\0.whl", "\0", "a" * 300 + ".whl", ".", "", "~", "x/../x.whl", "b" * 300]


@budget(60)
@given(st.text(max_size=8) | st.sampled_from(PATHS))
def test_any_path_is_records_or_refused(path: str) -> None:
    packages = Packages()
    with folder() as made:
        try:
            check(packages.records(made / path if path.strip("/") else made))
        except GroveError as error:
            assert str(error)
        packages.close()
