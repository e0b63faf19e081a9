"""The plainer ways are found by their names, and an unlinked file is nobody else's."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from grove_core.base import ways
from grove_core.base.ways import MemoryKind, WireKind, memory_folder, unlinked_file


def test_a_way_is_chosen_by_its_name() -> None:
    assert [MemoryKind("memfd"), MemoryKind("file")] == list(MemoryKind)
    assert [WireKind("seqpacket"), WireKind("stream")] == list(WireKind)


@pytest.mark.parametrize("name", ["", "FILE", "disk", 3, None])
def test_another_name_is_refused_with_those_there_are(name: object) -> None:
    with pytest.raises(ValueError, match="is not among: memfd, file"):
        MemoryKind(name)


@pytest.mark.parametrize("folder", [True, False], ids=["where files are memory", "where they are not"])
def test_an_unlinked_file_stands_nowhere(folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not folder:
        monkeypatch.setattr(ways, "SHARED_MEMORY", tmp_path / "no memory")
        assert memory_folder() == tmp_path
    before = set(memory_folder().iterdir())
    descriptor = unlinked_file("grove:a/b" * 100)
    try:
        assert set(memory_folder().iterdir()) == before
        status = os.fstat(descriptor)
        assert (status.st_nlink, status.st_size, stat.S_IMODE(status.st_mode)) == (0, 0, 0o600)
        assert not os.get_inheritable(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        assert path.parent == memory_folder()
        assert path.name.startswith("grove:a_b")
        os.write(descriptor, b"there")
        assert os.pread(descriptor, 5, 0) == b"there"
    finally:
        os.close(descriptor)
