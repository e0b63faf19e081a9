"""The engine's end of sinks, with real threads: nothing waits for them, and nothing that is lost goes untold."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.errors import PluginFailed, UnknownPart
from grove_core.base.events import Event, EventKind
from grove_core.base.samples import Sample
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.plugins import Catalogue, make_plugin_manager
from grove_core.parts.settings import Choice
from grove_core.runtime.state.sinks import QUEUE, Sinks, Trouble, choose_sinks

LONG = 30.0
"""How long anything may take that is sure to happen; a machine that is busy is no failure."""
SAMPLE = Sample("gamelogic", 1.0, 2.0, ())


class Kept:
    """A sink that keeps what it is given; `each` is called with it before."""

    def __init__(self, each: Callable[[Any], None] = lambda item: None) -> None:
        self.each = each
        self.got: list[Any] = []
        self.threads: set[str] = set()
        self.closed = 0

    def event(self, event: Event) -> None:
        self._take(event.details.get("number", event.kind))

    def sample(self, sample: Sample) -> None:
        self._take(sample)

    def close(self) -> None:
        self.closed += 1

    def _take(self, item: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.each(item)
        self.got.append(item)


class KeptInline:
    """The same, called in the engine's thread."""

    def __init__(self, each: Callable[[Any], None] = lambda item: None) -> None:
        self.kept = Kept(each)

    def event_inline(self, event: Event) -> None:
        self.kept.event(event)

    def close(self) -> None:
        self.kept.close()


@dataclass
class Engine:
    """What an engine does with its sinks."""

    sinks: Sinks
    told: list[Trouble] = field(default_factory=list)

    def emit(self, number: int) -> None:
        self.tell()
        self.sinks.event(Event(EventKind.SPLIT_SET, 0.0, details={"number": number}))
        self.tell()

    def tell(self) -> None:
        for trouble in self.sinks.troubles():
            self.told.append(trouble)
            self.sinks.event(Event(trouble.kind, 0.0, details=trouble.details))

    def close(self, seconds: float = LONG) -> None:
        self.sinks.close(self.tell, seconds)


@pytest.fixture
def opened() -> Iterator[Callable[..., Engine]]:
    """`opened(name=sink, ...)`: an engine with these sinks."""
    engines: list[Engine] = []

    def make(**sinks: Any) -> Engine:
        engines.append(Engine(choose_sinks(catalogue(**sinks), [Choice(name) for name in sinks], 1.0)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("grove-sink")]


def catalogue(**sinks: Any) -> Catalogue:
    class Plugin:
        @hookimpl
        def grove_register_sinks(self) -> dict[str, Any]:
            return {name: lambda made=made: made for name, made in sinks.items()}

    return Catalogue(make_plugin_manager([Plugin()])[0])


def waited(until: Callable[[], bool]) -> bool:
    """Wait for something that is sure to come; tell whether it came."""
    deadline = time.monotonic() + LONG
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def test_each_has_everything_in_order_and_a_thread_of_its_own(opened: Any) -> None:
    one, two, inline = Kept(), Kept(), KeptInline()
    engine = opened(one=one, inline=inline, two=two)
    for number in range(100):
        engine.emit(number)
    assert inline.kept.got == list(range(100)), "at once"
    engine.sinks.sample(SAMPLE)
    engine.close()
    assert one.got == two.got == [*range(100), SAMPLE]
    assert inline.kept.got == list(range(100)), "an inline sink gets no samples"
    assert (one.threads, two.threads) == ({"grove-sink-one"}, {"grove-sink-two"})
    assert inline.kept.threads == {threading.current_thread().name}
    assert (one.closed, two.closed, inline.kept.closed) == (1, 1, 1)
    assert engine.told == []
    engine.emit(100)
    engine.close()
    assert len(one.got) == 101 and one.closed == inline.kept.closed == 1, "nothing comes after the end"


def test_no_thread_is_started_and_no_sample_wanted_where_all_are_inline(opened: Any) -> None:
    before = threading.active_count()
    engine = opened(inline=KeptInline())
    engine.emit(1)
    assert threading.active_count() == before
    assert not engine.sinks.sampling and not engine.sinks.due(1e9)


def test_what_a_slow_one_cannot_keep_up_with_is_dropped_counted_and_told(opened: Any) -> None:
    gate, entered = threading.Event(), threading.Event()

    def wait(item: Any) -> None:
        entered.set()
        assert gate.wait(LONG)

    slow, quick = Kept(wait), Kept()
    engine = opened(slow=slow, quick=quick)
    engine.emit(0)
    assert entered.wait(LONG)
    for number in range(1, QUEUE + 1):
        engine.emit(number)
        assert waited(lambda number=number: len(quick.got) > number - QUEUE // 4), "it is quick"
    for number in range(7):
        engine.emit(QUEUE + 1 + number)
    engine.sinks.sample(SAMPLE)
    assert engine.told == [], "there is no room yet to tell it"
    gate.set()
    assert waited(lambda: len(slow.got) > QUEUE)
    engine.emit(-1)
    about = {"sink": "slow", "plugin": "Plugin", "events": 7, "samples": 1}
    assert engine.told == [Trouble(EventKind.EVENTS_DROPPED, about)]
    engine.close()
    assert slow.got == [*range(QUEUE + 1), EventKind.EVENTS_DROPPED, -1], "where they are missing it says so"
    assert quick.got == [*range(QUEUE + 8), SAMPLE, EventKind.EVENTS_DROPPED, -1]
    assert len(engine.told) == 1


def test_what_was_dropped_at_the_end_is_told_at_the_end(opened: Any) -> None:
    gate = threading.Event()
    slow = Kept(lambda item: gate.wait(LONG) or None)
    engine = opened(slow=slow)
    for number in range(QUEUE + 5):
        engine.emit(number)
    assert engine.told == []
    gate.set()
    engine.close()
    (trouble,) = engine.told
    assert trouble.kind is EventKind.EVENTS_DROPPED
    assert trouble.details["events"] in (4, 5), "one may have been taken already"
    assert slow.got[-1] is EventKind.EVENTS_DROPPED


def raises(item: Any) -> None:
    if item == 3:
        raise RuntimeError("no space left")


def exits(item: Any) -> None:
    if item == 3:
        raise SystemExit(2)


@pytest.mark.parametrize("broken", [raises, exits])
def test_one_that_raises_is_off_and_told_once_and_the_others_go_on(opened: Any, broken: Any) -> None:
    bad, good = Kept(broken), Kept()
    engine = opened(bad=bad, good=good)
    for number in range(4):
        engine.emit(number)
    assert waited(lambda: bad.closed == 1), "it is closed at once"
    for number in range(4, 10):
        engine.emit(number)
    engine.close()
    (trouble,) = engine.told
    assert trouble.kind is EventKind.PLUGIN_FAILED
    assert trouble.details["plugin"] == "Plugin"
    assert trouble.details["error"].startswith(f"the sink 'bad' raised {'RuntimeError' if broken is raises else 'Sys'}")
    assert "off for this engine" in trouble.details["error"]
    assert bad.got == [0, 1, 2] and bad.closed == 1
    assert [each for each in good.got if each is not EventKind.PLUGIN_FAILED] == list(range(10))


def test_an_inline_one_that_raises_is_off_at_once(opened: Any) -> None:
    bad, good = KeptInline(raises), KeptInline()
    engine = opened(bad=bad, good=good)
    for number in range(6):
        engine.emit(number)
    assert good.kept.got == [0, 1, 2, 3, EventKind.PLUGIN_FAILED, 4, 5]
    assert bad.kept.got == [0, 1, 2]
    assert len(engine.told) == 1


def test_an_interrupt_in_an_inline_one_is_the_program_s(opened: Any) -> None:
    def interrupted(item: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(inline=KeptInline(interrupted)).emit(0)


class FailsToClose(Kept):
    def close(self) -> None:
        raise OSError("the disk is gone")


def test_one_that_cannot_be_closed_is_told(opened: Any) -> None:
    good = KeptInline()
    engine = opened(bad=FailsToClose(), good=good)
    engine.emit(0)
    engine.close()
    (trouble,) = engine.told
    assert "the sink 'bad' raised OSError: the disk is gone" in trouble.details["error"]
    assert good.kept.got == [0, EventKind.PLUGIN_FAILED]


def test_one_that_hangs_holds_up_neither_events_nor_the_end(opened: Any) -> None:
    gate, over = threading.Event(), threading.Event()

    def hang(item: Any) -> None:
        over.set() if gate.wait(LONG) else None

    stuck, good, inline = Kept(hang), Kept(), KeptInline()
    engine = opened(stuck=stuck, good=good, inline=inline)
    for number in range(5):
        engine.emit(number)
    began = time.monotonic()
    engine.close(0.2)
    assert time.monotonic() - began < LONG / 2
    (trouble,) = engine.told
    assert trouble.kind is EventKind.PLUGIN_FAILED
    assert "the sink 'stuck' did not end within 0.2 s, 4 events and samples" in trouble.details["error"]
    assert good.got == list(range(5)) and good.closed == 1
    assert inline.kept.got == [*range(5), EventKind.PLUGIN_FAILED], "who can still be told is told"
    gate.set()
    assert over.wait(LONG)
    assert waited(lambda: not [each for each in threading.enumerate() if each.name == "grove-sink-stuck"])
    assert stuck.got == [0] and stuck.closed == 0, "should it come back, it does nothing more"


def test_what_was_made_is_closed_if_another_one_cannot_be() -> None:
    one, two = Kept(), KeptInline()
    with pytest.raises(UnknownPart, match=r"the sink 'three'; there are: .*one.*two"):
        choose_sinks(catalogue(one=one, two=two), [Choice("one"), Choice("two"), Choice("three")], 1.0)
    with pytest.raises(PluginFailed, match="the sink 'two' cannot be made"):
        choose_sinks(catalogue(one=one, two=two), [Choice("one"), Choice("two", {"x": 1, "made": None, "y": 2})], 1.0)
    assert (one.closed, two.kept.closed) == (2, 1)
    assert not [each for each in threading.enumerate() if each.name.startswith("grove-sink")]


@given(st.lists(st.floats(0, 5), max_size=60), st.sampled_from([0.1, 1.0, 3.0]))
def test_samples_are_due_once_an_interval_and_what_was_missed_is_not_made_up_for(
    steps: list[float], interval: float
) -> None:
    sinks = Sinks([], [object()], interval)  # type: ignore[list-item]
    now, due = 100.0, list[float]()
    assert sinks.due(now), "the first one at once"
    due.append(now)
    for step in steps:
        now += step
        if sinks.due(now):
            due.append(now)
        assert now - due[-1] < interval
        assert not sinks.due(now)
    assert len(due) <= 1 + (now - 100.0) / interval
