"""What a sink promises, as tests."""

from __future__ import annotations

import copy
import gc
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.events import Event, EventKind
from grove_core.base.metrics import Average, VersionMetrics
from grove_core.base.records import FaultKind
from grove_core.base.samples import Sample
from grove_core.parts.sinks import InlineSink, Sink
from grove_core.testing.examples import MODULE, VERSIONS, same_for_all

few = settings(same_for_all, max_examples=4)
"""A sink may take half a second to be closed."""
SECONDS = 30.0
"""How long a sink may take for some events; a machine that is busy is no failure."""

texts = st.sampled_from(["", "moved", "déjà vu", "two\nlines", "\x1b[31m", "a\x00b", '"}{', "\ud800", "x" * 10_000])
numbers = st.sampled_from([0, -1, 1 << 70, 0.5, float("nan"), float("inf"), -0.0])
others = st.sampled_from([None, True, VERSIONS[0], FaultKind.RAISE, b"\xff", {1, 2}, (1, "a"), 1j, np.float32(0.5)])
values = st.recursive(
    texts | numbers | others,
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(texts | st.sampled_from([1, VERSIONS[1]]), each, max_size=3)
    ),
    max_leaves=5,
)
names = st.sampled_from(["ms", "entities", "weights", "text", "error", "kind", "at", "type"])
modules = st.sampled_from([None, MODULE, "gamelogic"])
versions = st.sampled_from([None, *VERSIONS])
times = st.sampled_from([0.0, 1.5, 1e6])
events = st.builds(
    Event, st.sampled_from(EventKind), times, modules, versions, st.dictionaries(names, values, max_size=3)
)
amounts = st.sampled_from([0, 1, 1 << 40])
ms = st.sampled_from([None, 0.0, 0.25, 1e6])
metrics = st.builds(
    VersionMetrics,
    st.sampled_from(VERSIONS),
    amounts,
    st.sampled_from([0.0, 12.5, 100.0]),
    st.sampled_from([0.0, 12.5, 100.0]),
    amounts,
    amounts,
    ms,
    ms,
    ms,
    st.sampled_from([None, 0, 1 << 30]),
    times,
    amounts,
    st.just(MODULE),
    st.dictionaries(
        st.sampled_from(["joy", "revenue"]), st.builds(Average, st.just(3), st.floats(-1e9, 1e9)), max_size=2
    ),
)
judgements = st.builds(Judgement, st.sampled_from(Verdict), texts, st.dictionaries(names, numbers, max_size=3))
samples = st.builds(
    Sample,
    st.sampled_from([MODULE, "gamelogic"]),
    times,
    times,
    st.lists(metrics, max_size=3, unique_by=lambda each: each.version).map(tuple),
    st.dictionaries(st.sampled_from(["evidence", "threshold"]), judgements, max_size=2),
)


class SinkConformance:
    """Holds a sink against its contract, `grove_core.parts.contracts.Sink` or `.InlineSink`.

    What comes out at its other end only its author knows: look there with tests of your own.
    """

    def make(self) -> Sink | InlineSink:
        """Return a new sink, with the options it is to be tested with; the last one was closed."""
        raise NotImplementedError("let `make` return the sink to be tested")

    @given(st.lists(events, min_size=1, max_size=20))
    @few
    def test_it_takes_any_event(self, told: list[Event]) -> None:
        """Events of any kind, with or without a module, and with anything for a detail: it does not raise."""
        with self._made() as sink:
            give(sink, told)

    @given(st.lists(samples, min_size=1, max_size=10), st.lists(events, max_size=10))
    @few
    def test_it_takes_any_sample(self, told: list[Sample], between: list[Event]) -> None:
        """Samples of any module, also where nothing could be measured, and events between them: it does not raise."""
        with self._made() as sink:
            if isinstance(sink, InlineSink):
                pytest.skip("an inline sink gets no samples")
            for sample in told:
                give(sink, [sample, *between])

    @given(st.lists(events, min_size=1, max_size=10))
    @few
    def test_it_works_in_a_thread_that_did_not_make_it(self, told: list[Event]) -> None:
        """It is made where the engine is made; it is called, and closed, in another thread, always the same one."""
        failed: list[BaseException] = []

        def work() -> None:
            try:
                give(sink, told)
                sink.close()
            except BaseException as error:
                failed.append(error)

        sink = self.make()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(SECONDS)
        assert not thread.is_alive(), f"it took more than {SECONDS:g} s"
        if failed:
            raise failed[0]

    @given(st.lists(events | samples, min_size=1, max_size=10))
    @few
    def test_it_changes_nothing(self, told: list[Event | Sample]) -> None:
        """What it is given is also given to other sinks, and the engine remembers it."""
        before = copy.deepcopy(told)
        with self._made() as sink:
            give(sink, [each for each in told if isinstance(each, Event) or not isinstance(sink, InlineSink)])
        assert repr(told) == repr(before), "it changed what it was given"

    def test_closing_leaves_nothing(self) -> None:
        """No descriptor and no thread is left, and another one can be made in its place."""
        with self._made():
            pass  # what is imported with the first one stays
        before = _held()
        for _ in range(2):
            with self._made() as sink:
                give(sink, [Event(EventKind.SPLIT_SET, 1.0, MODULE)])
        assert _held() == before, "it left descriptors or threads"

    @contextmanager
    def _made(self) -> Iterator[Sink | InlineSink]:
        sink = self.make()
        try:
            yield sink
        finally:
            sink.close()


def give(sink: Sink | InlineSink, told: Sequence[Event | Sample]) -> None:
    """Give a sink events and samples, as the engine does."""
    for each in told:
        if isinstance(sink, InlineSink):
            assert isinstance(each, Event)
            sink.event_inline(each)
        elif isinstance(each, Event):
            sink.event(each)
        else:
            sink.sample(each)


def _held() -> tuple[set[str], set[int | None]]:
    """Return the descriptors of this process, and its threads."""
    gc.collect()
    descriptors = {each.name for each in Path("/dev/fd").iterdir()}
    return {each for each in descriptors if _is_open(int(each))}, {each.ident for each in threading.enumerate()}


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:  # the one by which the others were listed
        return False
    return True
