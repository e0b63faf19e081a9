"""The sink `jsonl`: what is told of is in the file, whole, wherever it was rotated to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.events import Event, EventKind
from grove_core.base.samples import Sample
from grove_core.sinks.jsonl import JsonLines
from grove_core.sinks.reading import read_events, read_lines
from grove_core.sinks.recorded import RecordedEvent

from .made import metrics, numbered


def documents(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_is_in_the_file_before_the_sink_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLines(str(path))
    event = Event(EventKind.SPLIT_SET, 2.5, "gamelogic", Version("2.0.0"), {"weights": {"1.0.0": 0.9}, "moved": 10})
    sink.event(event)
    assert documents(path) == [
        {
            "type": "event",
            "wall": event.wall,
            "at": 2.5,
            "kind": "split_set",
            "module": "gamelogic",
            "version": "2.0.0",
            "details": {"weights": {"1.0.0": 0.9}, "moved": 10},
        }
    ]
    sink.close()
    sink.close()


def test_a_sample_has_every_figure_and_judgement(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLines(str(path))
    judgement = Judgement(Verdict.FAIL, "twice as many errors", {"log10_e": 2.5})
    sink.sample(Sample("gamelogic", 1.0, 2.0, (metrics("1.0.0"), metrics("2.0.0")), {"evidence": judgement}))
    sink.close()
    (document,) = documents(path)
    assert (document["type"], document["at"], document["wall"]) == ("sample", 1.0, 2.0)
    assert [each["version"] for each in document["versions"]] == ["1.0.0", "2.0.0"]
    assert document["versions"][0]["memory_usage_bytes"] is None
    assert document["judgements"] == {
        "evidence": {"verdict": "fail", "reason": "twice as many errors", "evidence": {"log10_e": 2.5}}
    }


def test_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(3):
        sink = JsonLines(str(path))
        sink.event(numbered(number))
        sink.close()
    assert [each["details"]["number"] for each in documents(path)] == [0, 1, 2]


def test_files_are_rotated_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLines(str(path), max_bytes=2048, keep=3)
    for number in range(200):
        sink.event(numbered(number))
    sink.close()
    files = sorted(each.name for each in tmp_path.iterdir())
    assert files == ["events.jsonl", "events.jsonl.1", "events.jsonl.2", "events.jsonl.3"]
    assert all(1024 < each.stat().st_size <= 2048 for each in tmp_path.iterdir() if each != path)
    seen = [each.details["number"] for each in read_events(path) if isinstance(each, RecordedEvent)]
    assert seen == list(range(seen[0], 200))
    assert len(seen) > 40


def test_a_line_that_is_larger_than_a_file_may_be_is_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLines(str(path), max_bytes=1024)
    for _ in range(2):
        sink.event(Event(EventKind.WORKER_OUTPUT, 0.0, details={"text": "x" * 5000}))
    sink.close()
    assert [line.error for line in read_lines(path)] == [None, None]


def test_what_a_killed_engine_left_unfinished_spoils_no_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"type":"event","wa')
    sink = JsonLines(str(path))
    sink.event(numbered(1))
    sink.close()
    half, whole = read_lines(path)
    assert half.error is not None
    assert whole.error is None and whole.number == 2


def test_a_file_has_one_engine_that_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLines(str(path))
    with pytest.raises(ValueError, match=r"events\.jsonl is written by another engine"):
        JsonLines(str(path))
    sink.close()
    JsonLines(str(path)).close()


def test_who_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    code = (
        "import os, sys; from grove_core.sinks.jsonl import JsonLines; "
        "from grove_core.base.events import Event, EventKind; sink = JsonLines(sys.argv[1]); "
        "sink.event(Event(EventKind.PAUSED, 0.0)); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    JsonLines(str(path)).close()
    assert [each["kind"] for each in documents(path)] == ["paused"]


def test_what_is_no_file_is_neither_locked_nor_renamed() -> None:
    one, two = (JsonLines(os.devnull, max_bytes=1024) for _ in range(2))
    for number in range(50):
        one.event(numbered(number))
    assert not Path(f"{os.devnull}.1").exists()
    one.close()
    two.close()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"max_bytes": 10}, "max_bytes must be 0 or at least 1024, not 10"),
        ({"max_bytes": "1MB"}, "max_bytes must be 0 or at least 1024, not '1MB'"),
        ({"keep": 0}, "keep must be from 1 to 10000, not 0"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        JsonLines(str(tmp_path / "events.jsonl"), **options)
    assert not list(tmp_path.iterdir())
