"""Sinks of a running engine: what they get is what happened, and no tick waits for them."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from structlog.testing import capture_logs

from grove_core import ManualClock, Settings
from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.errors import PluginFailed
from grove_core.base.events import Event, EventKind
from grove_core.base.samples import Sample
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice
from grove_core.runtime.state import sinks as sinks_of
from grove_core.sinks.reading import read_events
from grove_core.sinks.recorded import RecordedEvent, RecordedSample

from .acts import start
from .conftest import OpenEngine
from .sources import BOTH, MODULE, V1

LONG = 30.0


def settings(*sinks: Choice, **more: Any) -> Settings:
    return Settings(sinks=sinks, tick_deadline_ms=20_000.0, load_deadline_seconds=60.0, max_entities=1 << 12, **more)


class Recording:
    """A plugin with one sink, which keeps what it is given; `each` is called with it before."""

    def __init__(self, each: Callable[[Any], object] = lambda item: None) -> None:
        self.each = each
        self.events: list[Event] = []
        self.samples: list[Sample] = []

    @hookimpl
    def grove_register_sinks(self) -> dict[str, Any]:
        return {"recording": lambda: self}

    def event(self, event: Event) -> None:
        self.each(event)
        self.events.append(event)

    def sample(self, sample: Sample) -> None:
        self.each(sample)
        self.samples.append(sample)

    def close(self) -> None:
        return


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a sink waits for; it is opened at the end, so that no thread is left."""
    opened = threading.Event()
    yield opened
    opened.set()
    deadline = time.monotonic() + LONG
    while any(each.name.startswith("grove-sink") for each in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_file_has_what_the_engine_remembers(open_engine: OpenEngine, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    engine = open_engine(BOTH, settings=settings(Choice("jsonl", {"path": str(path)})))
    start(engine, v1=0.5, v2=0.5)
    engine.inject_fault(MODULE, 2, "raise")
    engine.tick(0.1)
    engine.close()
    written = [each for each in read_events(path) if isinstance(each, RecordedEvent)]
    remembered = [(event.kind.value, event.at, event.wall, event.module) for event in engine.events]
    assert [(each.kind, each.at, each.wall, each.module) for each in written] == remembered
    assert [each.version for each in written] == [event.version and str(event.version) for event in engine.events]
    assert abs(written[0].wall - time.time()) < 3600
    (fault,) = [each for each in written if each.kind == "fault"]
    assert fault.details["traceback"].startswith("Traceback"), "the whole of it"
    assert {"rolled_back", "quarantined"} <= {each.kind for each in written}


def test_without_any_sink_events_are_remembered_all_the_same(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1}, settings=settings())
    with capture_logs() as logged:
        start(engine, v1=1.0)
    assert logged == []
    assert EventKind.VERSION_LOADED in [event.kind for event in engine.events]


def test_the_log_is_a_sink_and_stays_in_order_with_the_program_s_own_lines(open_engine: OpenEngine) -> None:
    before = threading.active_count()
    engine = open_engine({"1.0.0": V1})
    with capture_logs() as logged:
        engine.load_module_version(MODULE, 1)
        assert [(line["event"], line["module"], line["version"]) for line in logged] == [
            ("version_loaded", MODULE, "1.0.0")
        ]
        engine.inject_fault(MODULE, 1, "raise")
        engine.spawn(MODULE, x=[0.0])
        engine.tick(0.1)
    assert {line["log_level"] for line in logged if line["event"] == "fault"} == {"warning"}
    assert threading.active_count() == before, "no thread is started for it"


def test_samples_come_once_an_interval_by_the_clock(open_engine: OpenEngine) -> None:
    clock, recording = ManualClock(50.0), Recording()
    engine = open_engine(
        BOTH, settings=settings(Choice("recording"), sample_interval_seconds=2.0), plugins=(recording,), clock=clock
    )
    start(engine, v1=0.5, v2=0.5)
    judgements = {"evidence": Judgement(Verdict.PASS, "all is well", {"log10_e": -1.0})}
    for _ in range(9):
        engine.tick(0.1)
        clock.advance(0.5)
        engine._states[MODULE].judgements = judgements
    engine.close()
    assert [sample.at for sample in recording.samples] == [50.0, 52.0, 54.0]
    assert [dict(sample.judgements) for sample in recording.samples] == [{}, judgements, judgements]
    last = recording.samples[-1]
    assert last.module == MODULE and abs(last.wall - time.time()) < 3600
    assert [(each.version, each.entities, each.ticks) for each in last.versions] == [
        (Version("1.0.0"), 5, 9),
        (Version("2.0.0"), 5, 9),
    ]
    assert all(each.memory_usage_bytes for each in last.versions), "measured"


def test_an_engine_that_nobody_samples_measures_nothing(open_engine: OpenEngine, monkeypatch: Any) -> None:
    from grove_core.runtime.ticking import sampling

    asked: list[Any] = []
    monkeypatch.setattr(sampling, "metrics", lambda *given: asked.append(given))
    engine = open_engine({"1.0.0": V1})
    start(engine, v1=1.0)
    engine.tick(0.1)
    assert asked == []


def test_a_sink_that_hangs_holds_up_no_tick_and_not_the_end(
    open_engine: OpenEngine, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks_of.Sinks.close, "__defaults__", (0.3,))
    recording = Recording(lambda item: gate.wait(LONG))
    engine = open_engine({"1.0.0": V1}, settings=settings(Choice("recording")), plugins=(recording,))
    start(engine, v1=1.0)
    for _ in range(5):
        assert engine.tick(0.1).entities == 10
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < LONG / 2
    (failed,) = [event for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]
    assert failed.details["plugin"] == "Recording"
    assert "the sink 'recording' did not end within 0.3 s" in failed.details["error"]


def test_what_is_dropped_is_an_event_with_the_number(
    open_engine: OpenEngine, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks_of, "QUEUE", 8)
    entered = threading.Event()

    def wait(item: Any) -> None:
        entered.set()
        gate.wait(LONG)

    recording = Recording(wait)
    engine = open_engine({"1.0.0": V1}, settings=settings(Choice("recording")), plugins=(recording,))
    engine.load_module_version(MODULE, 1)
    assert entered.wait(LONG)
    for _ in range(20):
        engine.enable_auto_gc(MODULE, 10.0)
    gate.set()
    engine.close()
    (dropped,) = [event for event in engine.events if event.kind is EventKind.EVENTS_DROPPED]
    assert dropped.details == {"sink": "recording", "plugin": "Recording", "events": 12, "samples": 0}
    assert [event.kind for event in recording.events] == [
        EventKind.VERSION_LOADED,
        *[EventKind.GC_ENABLED] * 8,
        EventKind.EVENTS_DROPPED,
    ]


def test_one_that_raises_is_an_event_by_the_next_sample_and_no_tick_is_lost(open_engine: OpenEngine) -> None:
    def full(item: Any) -> None:
        if isinstance(item, Sample):
            raise OSError(28, "no space left on device")

    clock, recording = ManualClock(), Recording(full)
    engine = open_engine(BOTH, settings=settings(Choice("recording")), plugins=(recording,), clock=clock)
    start(engine, v1=0.5, v2=0.5)
    deadline = time.monotonic() + LONG
    while not (failed := [event for event in engine.events if event.kind is EventKind.PLUGIN_FAILED]):
        assert engine.tick(0.1).entities == 10
        clock.advance(1.0)
        assert time.monotonic() < deadline
    assert "the sink 'recording' raised OSError: [Errno 28]" in failed[0].details["error"]


def test_a_sink_that_cannot_be_made_is_an_error_and_nothing_is_left(open_engine: OpenEngine, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    chosen = (Choice("jsonl", {"path": str(path)}), Choice("jsonl", {"path": str(tmp_path / "none" / "x.jsonl")}))
    with pytest.raises(PluginFailed, match=r"the sink 'jsonl' cannot be made .*No such file"):
        open_engine({}, settings=settings(*chosen))
    open_engine({}, settings=settings(chosen[0])).close()


def test_two_files_may_be_written(open_engine: OpenEngine, tmp_path: Path) -> None:
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    engine = open_engine({"1.0.0": V1}, settings=settings(*(Choice("jsonl", {"path": str(path)}) for path in paths)))
    start(engine, v1=1.0)
    engine.tick(0.1)
    engine.close()
    assert paths[0].read_bytes() == paths[1].read_bytes() != b""
    assert {type(each) for each in read_events(paths[0])} == {RecordedEvent, RecordedSample}


def test_prometheus_fetches_what_the_engine_measures(open_engine: OpenEngine) -> None:
    pytest.importorskip("prometheus_client")
    from grove_core.sinks.prometheus import Prometheus

    made: list[Prometheus] = []

    class Plugin:
        @hookimpl
        def grove_register_sinks(self) -> dict[str, Any]:
            return {"mine": lambda: made.append(Prometheus(port=0)) or made[0]}

    engine = open_engine(BOTH, settings=settings(Choice("mine")), plugins=(Plugin(),))
    start(engine, v1=0.5, v2=0.5)
    engine.tick(0.1)
    deadline, text = time.monotonic() + LONG, ""
    while "grove_entities{" not in text and time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{made[0].port}/metrics", timeout=LONG) as answer:
            text = answer.read().decode()
    assert f'grove_entities{{module="{MODULE}",version="2.0.0"}} 5.0' in text
    assert f'grove_events_total{{kind="version_loaded",module="{MODULE}"}} 2.0' in text


def test_each_line_is_whole_json_while_the_engine_runs(open_engine: OpenEngine, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    engine = open_engine({"1.0.0": V1}, settings=settings(Choice("jsonl", {"path": str(path)})))
    start(engine, v1=1.0)
    deadline = time.monotonic() + LONG
    while path.read_bytes().count(b"\n") < len(engine.events):
        assert time.monotonic() < deadline, "what happened is in the file a moment later, without a close"
        time.sleep(0.005)
    assert [json.loads(line)["kind"] for line in path.read_bytes().splitlines()] == [
        event.kind.value for event in engine.events
    ]
