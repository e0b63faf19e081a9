"""The log of one engine is turned up and down while it runs; its events and its other sinks get everything."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from grove_core import DebugEngine, Settings
from grove_core.base.errors import InvalidInput, Refused
from grove_core.base.events import EventKind
from grove_core.sinks.log import LogLevel

from .conftest import OpenEngine
from .sources import MODULE, V1


def logged(engine: DebugEngine) -> list[str]:
    """Return the names of what is logged of a fault and what comes of it, and of a pause."""
    engine.inject_fault(MODULE, 1, "kill")
    with capture_logs() as lines:
        engine.tick(0.0)
        engine.pause()
        engine.resume()
    return [line["event"] for line in lines]


def test_levels_hold_by_kind_and_module_and_only_for_the_log(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, x=[1.0])
    everything = logged(engine)
    assert everything == ["fault", "restarted", "paused", "resumed"]
    steps: list[tuple[dict[str, Any], list[str]]] = [
        ({"level": "warning"}, ["fault", "restarted", "paused"]),
        ({"level": "off", "module": MODULE}, ["paused"]),
        ({"level": "info", "kind": "restarted"}, ["restarted", "paused"]),
        ({"level": "off", "kind": EventKind.RESTARTED, "module": MODULE}, ["paused"]),
        ({"level": LogLevel.INFO, "kind": "resumed"}, ["paused", "resumed"]),
        ({"level": None, "module": MODULE}, ["fault", "paused", "resumed"]),
    ]
    for step, expected in steps:
        engine.set_log_level(**step)
        assert logged(engine) == expected, step
    assert engine.log_levels() == {
        (None, None): LogLevel.WARNING,
        (None, EventKind.RESTARTED): LogLevel.INFO,
        (MODULE, EventKind.RESTARTED): LogLevel.OFF,
        (None, EventKind.RESUMED): LogLevel.INFO,
    }
    told = [event.kind.value for event in engine.events if event.kind.value in everything]
    assert told == everything * 7


def test_another_engine_logs_as_before(open_engine: OpenEngine) -> None:
    quiet, other = open_engine({"1.0.0": V1}), open_engine({"1.0.0": V1})
    quiet.set_log_level("off")
    with capture_logs() as lines:
        quiet.pause()
        other.pause()
    assert len(lines) == 1
    assert other.log_levels() == {}


def test_what_does_not_exist_is_refused(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1})
    for wrong in ({"level": "loud"}, {"level": "off", "kind": "nothing"}, {"level": "off", "module": 7}):
        with pytest.raises(InvalidInput):
            engine.set_log_level(**wrong)
    silent = open_engine({"1.0.0": V1}, settings=Settings(sinks=()))
    with pytest.raises(Refused, match="structlog"):
        silent.set_log_level("off")
