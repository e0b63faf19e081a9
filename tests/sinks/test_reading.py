"""Reading while it is written: every line once, in order, whatever is renamed meanwhile."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.sinks import reading
from grove_core.sinks.jsonl import JsonLines
from grove_core.sinks.reading import Journal, Line, read_events, read_lines, read_stream
from grove_core.sinks.recorded import RecordedEvent, line_of

from .made import numbered


def numbers(lines: list[Line]) -> list[int]:
    return [line.recorded.details["number"] for line in lines if isinstance(line.recorded, RecordedEvent)]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_who_follows_gets_every_line_once(tmp_path_factory: pytest.TempPathFactory, bursts: list[int]) -> None:
    path = tmp_path_factory.mktemp("followed") / "events.jsonl"
    sink = JsonLines(str(path), max_bytes=1024, keep=100)
    sink.event(numbered(0))
    wrote, seen = 1, list[int]()
    with Journal(path) as journal:
        for burst in bursts:
            seen += numbers(list(journal.lines()))
            assert seen == list(range(wrote))
            for _ in range(burst):
                sink.event(numbered(wrote))
                wrote += 1
        seen += numbers(list(journal.lines()))
    sink.close()
    assert seen == list(range(wrote))
    assert numbers(list(read_lines(path))) == seen


@given(st.lists(st.integers(1, 400), max_size=20))
def test_a_line_is_given_once_it_is_whole(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    path = tmp_path_factory.mktemp("written") / "events.jsonl"
    text = b"".join(line_of(numbered(number)) for number in range(5))
    place, seen = 0, list[int]()
    with path.open("wb", buffering=0) as file, Journal(path) as journal:
        for cut in [*cuts, len(text)]:
            file.write(text[place : place + cut])
            place += cut
            seen += numbers(list(journal.lines()))
            assert seen == list(range(text[:place].count(b"\n")))
    assert seen == list(range(5))


def test_the_last_line_need_not_have_an_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line_of(numbered(0)) + line_of(numbered(1)).rstrip())
    assert numbers(list(read_lines(path))) == [0, 1]
    with Journal(path) as journal:
        assert numbers(list(journal.lines())) == [0]


def test_bad_lines_have_a_number_and_a_cause(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.with_name("events.jsonl.1").write_bytes(b"rubbish\n" + line_of(numbered(0)))
    path.write_bytes(b"\n\n" + line_of(numbered(1)) + b'{"type":"event"}\n')
    bad = [(Path(line.source).name, line.number) for line in read_lines(path) if line.error]
    assert bad == [("events.jsonl.1", 1), ("events.jsonl", 4)]
    assert [each.at for each in read_events(path)] == [0.0, 1.0]


def test_a_line_without_end_takes_no_memory_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 1000)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * 10_000 + b"\n" + line_of(numbered(7)) + b"y" * 5000)
    first, second, last = read_lines(path)
    assert first.error == last.error == "it has more than 1000 bytes"
    assert (second.number, numbers([second]), last.number) == (2, [7], 3)


def test_one_file_that_is_missing_hides_no_older_one(tmp_path: Path) -> None:
    """A writer was killed while it renamed: `path.1` was to be next."""
    path = tmp_path / "events.jsonl"
    path.with_name("events.jsonl.2").write_bytes(line_of(numbered(0)))
    path.write_bytes(line_of(numbered(1)))
    assert numbers(list(read_lines(path))) == [0, 1]
    path.unlink()
    path.with_name("events.jsonl.2").rename(path.with_name("events.jsonl.1"))
    assert numbers(list(read_lines(path))) == [0]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        list(read_lines(tmp_path / "none.jsonl"))


def test_a_stream_is_read_as_it_comes() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as stream:
        lines = read_stream(stream, "stdin")
        for number in range(3):
            os.write(theirs, line_of(numbered(number)))
            assert numbers([next(lines)]) == [number]
        os.close(theirs)
        assert list(lines) == []
    assert [line.number for line in read_stream(io.BytesIO(line_of(numbered(0))), "stdin")] == [1]


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLines(str(path), max_bytes=1024, keep=5)
    for number in range(100):
        sink.event(numbered(number))
    before = len(list(Path("/proc/self/fd").iterdir()))
    list(read_lines(path))
    with Journal(path) as journal:
        list(journal.lines())
        for number in range(100):
            sink.event(numbered(number))
        list(journal.lines())
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    sink.close()
