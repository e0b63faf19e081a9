"""Whatever an event tells can be written as a line, and read back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.base.events import Event, EventKind
from grove_core.base.histogram import Histogram
from grove_core.sinks.recorded import WIDTH, RecordedEvent, line_of, parse, plain

PLAIN = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False) | st.text()
NATIVE = st.recursive(
    PLAIN, lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(), each, max_size=4), max_leaves=10
)
ANYTHING = st.recursive(
    PLAIN | st.floats() | st.integers() | st.binary() | st.complex_numbers() | st.text(st.characters(codec=None)),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.integers() | st.text(), each, max_size=3),
    max_leaves=8,
)


def detail(value: Any) -> Any:
    """Write a value as a detail of an event, and read it back."""
    recorded = parse(line_of(Event(EventKind.FAULT, 1.0, details={"value": value})))
    assert isinstance(recorded, RecordedEvent)
    return recorded.details["value"]


@given(NATIVE)
def test_what_json_has_a_form_for_comes_back(value: Any) -> None:
    assert detail(value) == _finite(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return {name: _finite(each) for name, each in value.items()} if isinstance(value, dict) else value


@given(st.dictionaries(st.text(st.characters(codec=None)), ANYTHING, max_size=3), st.text() | st.none())
def test_anything_is_one_line(details: dict[str, Any], module: str | None) -> None:
    line = line_of(Event(EventKind.FAULT, 1.0, module, Version("1.0"), details))
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    recorded = parse(line)
    assert isinstance(recorded, RecordedEvent)
    assert (recorded.kind, recorded.module, recorded.version) == ("fault", module, "1.0")
    assert len(recorded.details) <= len(details)


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: Any


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def deep(levels: int) -> Any:
    return [deep(levels - 1)] if levels else 0


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Version("2.0"), "2.0"),
        (Colour.RED, "red"),
        (Point(Version("1.0")), {"x": "1.0"}),
        ({Version("1.0"): 1, 2: 3}, {"1.0": 1, "2": 3}),
        ((1, {2}), [1, [2]]),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        ([np.float64(np.nan), np.bool_(True), np.int64(3)], [None, True, 3]),
        (np.arange(3), [0, 1, 2]),
        (np.array([np.nan, 1.0]), [None, 1.0]),
        (1 << 70, str(1 << 70)),
        (float("inf"), None),
        ("\ud800", "\\ud800"),
        (b"a\xff", "b'a\\xff'"),
        (Shy(), "an unprintable Shy"),
    ],
)
def test_what_it_has_no_form_for_is_as_near_as_may_be(value: Any, written: Any) -> None:
    assert detail(value) == written


def test_a_clock_may_count_in_numpy_s_floats() -> None:
    assert parse(line_of(Event(EventKind.FAULT, np.float64(1.5)))).at == 1.5


def test_large_and_deep_values_are_bounded() -> None:
    many = detail(np.arange(WIDTH + 5))
    assert many[:WIDTH] == list(range(WIDTH)) and many[WIDTH:] == ["... and 5 more"]
    assert len(line_of(Event(EventKind.FAULT, 1.0, details={"value": deep(500)}))) < 500
    around: list[Any] = []
    around.append(around)
    assert detail(around)


def test_a_histogram_is_its_quantiles() -> None:
    assert plain(Histogram.of([1.0] * 99 + [50.0])) == pytest.approx({"p50": 1.0, "p90": 1.0, "p99": 50.0}, rel=0.02)


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"\xff", b'{"type":"rumour"}', b'{"type":"event"}', b"[" * 10_000])
def test_what_is_no_event_says_why(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse(line)
