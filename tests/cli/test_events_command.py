"""`grove events`."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from packaging.version import Version

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.events import Event, EventKind
from grove_core.base.metrics import VersionMetrics
from grove_core.base.samples import Sample
from grove_core.cli.main import main
from grove_core.sinks.jsonl import JsonLines
from grove_core.sinks.recorded import line_of

WALL = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC."""
COMMAND = [sys.executable, "-c", "from grove_core.cli.main import main; main()", "events"]


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let local time be UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def event(second: int, kind: EventKind = EventKind.SPLIT_SET, module: str | None = "shop", **details: Any) -> Event:
    version = Version("2.0.0") if module else None
    return Event(kind, float(second), module, version, details, wall=WALL + second)


def sample(second: int) -> Sample:
    metrics = VersionMetrics(Version("1.0.0"), 90, 90.0, 90.0, 7, 630, 0.5, 0.25, 2.0, None, 3.5, 0)
    judgement = Judgement(Verdict.FAIL, "twice as many errors", {"log10_e": 2.5})
    return Sample("shop", float(second), WALL + second, (metrics,), {"evidence": judgement})


EVENTS = (
    event(0, EventKind.PLUGIN_FAILED, None, error="no such thing"),
    event(1, EventKind.VERSION_LOADED, ms=12.3456789),
    sample(2),
    event(3, EventKind.SPLIT_SET, "bank", weights={"1.0.0": 0.9, "2.0.0": 0.1}, moved=10, normalised_from=None),
    event(4, EventKind.FAULT, fault="raise", message="no\n way", traceback="Traceback", within_limit=True),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(line_of(each) for each in EVENTS))
    return path


def events(*arguments: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["events", *map(str, arguments)], input=given)


def seconds(result: Result) -> list[int]:
    """Return the second of each line that was shown."""
    assert result.exit_code == 0, result.stderr
    return [int(line[17:19]) for line in result.stdout.splitlines()]


def test_an_event_is_a_line(file: Path) -> None:
    assert events(file).stdout == (
        "2027-01-15 08:00:00.000  0.000 s  plugin_failed        -                 error=no such thing\n"
        "2027-01-15 08:00:01.000  1.000 s  version_loaded       shop@2.0.0        ms=12.3457\n"
        "2027-01-15 08:00:03.000  3.000 s  split_set            bank@2.0.0        weights={1.0.0: 0.9, 2.0.0: 0.1}  "
        "moved=10\n"
        "2027-01-15 08:00:04.000  4.000 s  fault                shop@2.0.0        fault=raise  message=no way  "
        "within_limit=true\n"
    )


def test_samples_are_lines_if_they_are_asked_for(file: Path) -> None:
    (version, judge) = [line for line in events(file, "--samples").stdout.splitlines() if " 2.000 s" in line]
    assert version == (
        "2027-01-15 08:00:02.000  2.000 s  sample               shop@1.0.0        entities=90  traffic_percent=90  "
        "traffic_percent_set=90  ticks=7  processed_entities=630  avg_process_time_ms=0.5  p50_process_time_ms=0.25  "
        "p99_process_time_ms=2  uptime_seconds=3.5  errors=0  calls=0  failed_calls=0  lost_ticks=0  service_calls=0"
    )
    assert judge.endswith(
        "judgement            shop              "
        "evidence={verdict: fail, reason: twice as many errors, evidence: {log10_e: 2.5}}"
    )


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--module", "shop"], [1, 4]),
        (["--module", "shop", "--module", "bank"], [1, 3, 4]),
        (["--kind", "fault", "--kind", "split_set"], [3, 4]),
        (["--kind", "fault", "--module", "bank"], []),
        (["--last", "2"], [3, 4]),
        (["--last", "1", "--module", "bank"], [3]),
        (["--since", "2027-01-15 08:00:03"], [3, 4]),
        (["--since", "2027-01-15T09:00:04+01:00"], [4]),
        (["--since", "0.1s", "--last", "3"], [0, 1, 3, 4][-3:]),
        (["--samples", "--kind", "fault"], [2, 2, 4]),
    ],
)
def test_less_may_be_asked_for(file: Path, options: list[str], shown: list[int]) -> None:
    assert seconds(events(file, *options)) == shown


def test_since_may_be_so_long_ago(tmp_path: Path) -> None:
    path, now = tmp_path / "events.jsonl", time.time()
    ages = {"new": 5.0, "older": 3000.0, "old": 80_000.0}
    made = [Event(EventKind.PAUSED, 0.0, details={"age": age}, wall=now - past) for age, past in ages.items()]
    path.write_bytes(b"".join(map(line_of, made)))
    for since, count in (("1m", 1), ("1h", 2), ("1d", 3), ("1 s", 0), ("0.5h", 1)):
        assert events(path, "--since", since).stdout.count("paused") == count


def test_json_are_the_lines_as_they_stand(file: Path) -> None:
    lines = file.read_bytes().splitlines()
    assert events(file, "--json", "--samples").stdout_bytes.splitlines() == lines
    assert json.loads(events(file, "--json", "--kind", "fault").stdout)["details"]["message"] == "no\n way"


def test_bad_lines_are_told_and_skipped(file: Path) -> None:
    file.write_bytes(b"rubbish\n" + file.read_bytes() + b'{"type":"event","wa')
    result = events(file)
    assert seconds(result) == [0, 1, 3, 4]
    first, last = result.stderr.splitlines()
    assert first.startswith(f"Warning: {file}, line 1: ") and last.startswith(f"Warning: {file}, line 7: ")


def test_a_file_of_something_else_fails(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    assert events(path).exit_code == 1
    path.write_text("")
    assert (events(path).exit_code, events(path).stdout) == (0, "")


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    result = events(tmp_path / "none.jsonl")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "none.jsonl: there is no such file" in result.stderr
    assert events(tmp_path).exit_code == 1, "a folder is no file"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--kind", "falt"], "there is no kind 'falt'; there are: fault"),
        (["--since", "yesterday"], "'yesterday' is neither so long ago"),
        (["--last", "0"], "0 is not in the range"),
        (["--follow", "-"], "stdin is followed as it is"),
    ],
)
def test_wrong_options_are_usage_errors(file: Path, options: list[str], why: str) -> None:
    result = events(*([] if "-" in options else [file]), *options)
    assert result.exit_code == 2
    assert why in " ".join(result.stderr.split())


def test_stdin_is_read(file: Path) -> None:
    assert seconds(events("-", given=file.read_bytes())) == [0, 1, 3, 4]
    assert "stdin, line 1" in events("-", given=b"rubbish\n").stderr


def test_what_was_rotated_is_read_first(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLines(str(path), max_bytes=1024)
    for second in range(30):
        sink.event(event(second))
    sink.close()
    assert path.with_name("events.jsonl.2").exists()
    assert seconds(events(path)) == list(range(30))


def test_no_text_drives_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    nasty = "\x1b]0;owned\x07\x1b[2J [red]all[/red] \u202e"
    path.write_bytes(line_of(Event(EventKind.FAULT, 0.0, nasty, details={nasty: nasty, "deep": [{nasty: [nasty]}]})))
    path.write_bytes(path.read_bytes() + b'{"type":"\x1b[2J"}\n' + b'{"type":"\\u001b[2J"}\n')
    result = events(path)
    assert not {each for each in result.stdout + result.stderr if not each.isprintable()} - {"\n"}
    assert "\\x1b[2J [red]all[/red]" in result.stdout


def test_long_values_keep_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line_of(event(0, text="begin " + "x" * 10_000 + " end")))
    (line,) = events(path).stdout.splitlines()
    assert len(line) < 800 and "text=begin xxx" in line and line.endswith("xxx end")


def test_who_follows_sees_what_comes_and_ctrl_c_ends_it(file: Path) -> None:
    sink = JsonLines(str(file), max_bytes=1024)
    with subprocess.Popen(
        [*COMMAND, str(file), "--follow", "--last", "1"], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert " fault " in running.stdout.readline()
        for second in range(5, 30):
            sink.event(event(second))
        assert [int(running.stdout.readline()[17:19]) for _ in range(25)] == list(range(5, 30))
        assert file.with_name("events.jsonl.1").exists(), "it was rotated meanwhile"
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    sink.close()


def test_a_terminal_gets_colours_and_whole_lines(file: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color", "TZ": "UTC"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen([*COMMAND, str(file)], stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        shown = b""
        while chunk := read(ours):
            shown += chunk
    os.close(ours)
    assert running.returncode == 0
    fault = shown.decode().splitlines()[-1]
    assert "\x1b[1;31mfault" in fault and fault.rstrip().endswith("true")
    assert len(shown.decode().splitlines()) == 4, "the terminal folds them, nobody else"


def read(terminal: int) -> bytes:
    """Read what there is; the end of a terminal is an error on Linux."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
