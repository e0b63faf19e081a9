"""The engine's end of sinks: inline ones are called at once, each of the others has a thread and a bounded queue.

Only the engine's side tells of trouble: a thread notes what it met, and the next event, sample or the end tells it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from grove_core.base.events import Event, EventKind
from grove_core.base.samples import Sample
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.parts.settings import Choice
from grove_core.parts.sinks import InlineSink, Sink

QUEUE: Final = 4096
"""How many events and samples wait for a sink at most."""
CLOSE_SECONDS: Final = 3.0
"""How long all sinks together may take at the end to write what is left."""
_NEVER: Final = float("inf")


@dataclass(frozen=True)
class Trouble:
    """What is to be told of a sink."""

    kind: EventKind
    details: Mapping[str, Any]


@dataclass(frozen=True)
class SinkStatus:
    """How one sink is."""

    sink: str
    plugin: str
    waiting: int
    """Events and samples in its queue; 0 where it has none, as it is called at once."""
    events_dropped: int
    """Since it was last told, as an event."""
    samples_dropped: int
    failure: str | None
    """Why it is off; None if it is on."""


@dataclass(frozen=True)
class _Name:
    """What a sink is called, and whose it is."""

    sink: str
    plugin: str

    def failed(self, what: str) -> Trouble:
        error = f"the sink {self.sink!r} {what}; it is off for this engine"
        return Trouble(EventKind.PLUGIN_FAILED, {"plugin": self.plugin, "error": error})


class _Inline:
    """A sink that is called in the engine's own thread."""

    def __init__(self, name: _Name, part: InlineSink) -> None:
        self._name = name
        self._part = part
        self._off = False
        self._failure: str | None = None
        self._off_for: str | None = None

    @property
    def part(self) -> InlineSink:
        return self._part

    def put(self, event: Event) -> None:
        if not self._off:
            self._try(self._part.event_inline, event)

    def status(self) -> SinkStatus:
        return SinkStatus(self._name.sink, self._name.plugin, 0, 0, 0, self._off_for)

    def troubles(self) -> Iterator[Trouble]:
        failure, self._failure = self._failure, None
        if failure is not None:
            yield self._name.failed(failure)

    def close(self) -> None:
        if not self._off:
            self._off = True
            self._try(self._part.close)

    def _try(self, call: Callable[..., None], *given: Event) -> None:
        try:
            call(*given)
        except Exception as error:
            self._off = True
            self._failure = self._off_for = f"raised {type(error).__name__}: {error}"


@dataclass(frozen=True)
class _Passed:
    """Stands in a queue behind what is to be written first."""

    reached: threading.Event


class _End:
    """The last that a queue has."""


class _Threaded:
    """A sink on a thread of its own. The engine's side puts, and never waits but at the end."""

    def __init__(self, name: _Name, part: Sink) -> None:
        self._name = name
        self._part = part
        self._queue: SimpleQueue[Event | Sample | _Passed | _End] = SimpleQueue()
        self._events_dropped = self._samples_dropped = 0
        self._failure: str | None = None
        """Noted by the thread as it ends, and told by the engine's side."""
        self._told = False
        self._ended = False
        """Whether it gets nothing any more."""
        self._left = False
        """Whether it was given up: should it ever come back, it does nothing more."""
        self._thread = threading.Thread(target=self._run, name=f"grove-sink-{name.sink}", daemon=True)
        self._thread.start()

    def put(self, item: Event | Sample) -> None:
        """Have it written, or count it as dropped."""
        if self._ended:
            return
        if self._queue.qsize() < QUEUE:
            self._queue.put(item)
        elif isinstance(item, Event):
            self._events_dropped += 1
        else:
            self._samples_dropped += 1

    def troubles(self) -> Iterator[Trouble]:
        """Yield what is to be told, each once. What was dropped is told when half of the queue is free again."""
        if self._failure is not None and not self._told:
            self._told = self._ended = True
            yield self._name.failed(self._failure)
        events, samples = self._events_dropped, self._samples_dropped
        if (events or samples) and (self._ended or self._queue.qsize() <= QUEUE // 2):
            self._events_dropped = self._samples_dropped = 0
            about = {"sink": self._name.sink, "plugin": self._name.plugin}
            yield Trouble(EventKind.EVENTS_DROPPED, {**about, "events": events, "samples": samples})

    def status(self) -> SinkStatus:
        waiting, name = self._queue.qsize(), self._name
        return SinkStatus(name.sink, name.plugin, waiting, self._events_dropped, self._samples_dropped, self._failure)

    def catch_up(self, seconds: float) -> None:
        """If something was dropped, wait until what was not is written: then there is room to tell of it."""
        if (self._events_dropped or self._samples_dropped) and not self._ended:
            passed = _Passed(threading.Event())
            self._queue.put(passed)
            passed.reached.wait(max(0.0, seconds))

    def end(self) -> None:
        """Let the thread end, once everything is written."""
        self._ended = True
        self._queue.put(_End())

    def join(self, seconds: float, allowed: float) -> None:
        """Wait for the thread; one that does not end within `seconds` is given up: `allowed` were given to all."""
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            self._left = True
            left = sum(isinstance(each, Event | Sample) for each in self._rest())
            self._queue.put(_End())  # should it come back just now, it may be at the queue already
            self._failure = f"did not end within {allowed:g} s, {left} events and samples that waited for it are lost"

    def _run(self) -> None:
        with self._noting():
            while not self._left and not isinstance(item := self._queue.get(), _End):
                self._give(item)
        if not self._left:
            with self._noting():
                self._part.close()
        for item in self._rest():
            if isinstance(item, _Passed):
                item.reached.set()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Note the first error for the engine's side to tell."""
        try:
            yield
        except (Exception, SystemExit) as error:
            self._failure = self._failure or f"raised {type(error).__name__}: {error}"

    def _give(self, item: Event | Sample | _Passed | _End) -> None:
        if isinstance(item, Event):
            self._part.event(item)
        elif isinstance(item, Sample):
            self._part.sample(item)
        elif isinstance(item, _Passed):
            item.reached.set()

    def _rest(self) -> Iterator[Event | Sample | _Passed | _End]:
        """Empty the queue."""
        with contextlib.suppress(Empty):
            while True:
                yield self._queue.get_nowait()


class Sinks:
    """All sinks of an engine.

    Args:
        inline: those that are called at once.
        threaded: those on threads of their own.
        interval: how far apart samples are, in seconds by the clock; the first is due at once.
    """

    def __init__(self, inline: Iterable[_Inline], threaded: Iterable[_Threaded], interval: float) -> None:
        self._inline = tuple(inline)
        self._threaded = tuple(threaded)
        self._interval = interval
        self._sample_at = -_NEVER if self._threaded else _NEVER
        self._closed = False

    @property
    def sampling(self) -> bool:
        """Whether anybody takes samples."""
        return self._sample_at < _NEVER

    def event(self, event: Event) -> None:
        """Give an event to every sink."""
        for inline in self._inline:
            inline.put(event)
        for threaded in self._threaded:
            threaded.put(event)

    def status(self) -> list[SinkStatus]:
        """Return how each of them is; its trouble is told elsewhere."""
        return [*(each.status() for each in self._inline), *(each.status() for each in self._threaded)]

    @property
    def inline(self) -> list[InlineSink]:
        """The sinks that are called at once, as they were made."""
        return [each.part for each in self._inline]

    def due(self, now: float) -> bool:
        """Tell whether a sample is due, and if so, note that it is taken."""
        if now < self._sample_at:
            return False
        self._sample_at += self._interval
        if self._sample_at <= now:  # late by more than one: what was missed is not made up for
            self._sample_at = now + self._interval
        return True

    def sample(self, sample: Sample) -> None:
        """Give a sample to every sink that takes them."""
        for threaded in self._threaded:
            threaded.put(sample)

    def troubles(self) -> Iterator[Trouble]:
        """Yield what is to be told of sinks since the last time."""
        for inline in self._inline:
            yield from inline.troubles()
        for threaded in self._threaded:
            yield from threaded.troubles()

    def close(self, tell: Callable[[], None], seconds: float = CLOSE_SECONDS) -> None:
        """Have everything written, and end every sink. Twice is once.

        Args:
            tell: emits what `troubles` yields.
            seconds: how long all of them together may take.
        """
        if self._closed:
            return
        self._closed = True
        self._sample_at = _NEVER
        began = time.monotonic()
        tell()
        for each in self._threaded:
            each.catch_up(began + seconds / 2 - time.monotonic())
        tell()
        for each in self._threaded:
            each.end()
        for each in self._threaded:
            each.join(began + seconds - time.monotonic(), seconds)
        tell()
        for inline in self._inline:
            inline.close()
        tell()


def choose_sinks(catalogue: Catalogue, choices: Iterable[Choice], interval: float) -> Sinks:
    """Make the sinks that the settings list; see `Sinks`. Threads are started once all of them could be made.

    Raises:
        UnknownPart, PluginFailed: one is not registered, or cannot be made; those that were made are closed.
    """
    inline: list[tuple[_Name, InlineSink]] = []
    threaded: list[tuple[_Name, Sink]] = []
    with contextlib.ExitStack() as undo:
        for choice in choices:
            name = _Name(choice.use, catalogue.find(PartKind.SINK, choice.use).plugin)
            part: Sink | InlineSink = catalogue.make(PartKind.SINK, choice.use, choice.options)
            undo.callback(part.close)
            if isinstance(part, InlineSink):
                inline.append((name, part))
            else:
                threaded.append((name, part))
        undo.pop_all()
    return Sinks([_Inline(*each) for each in inline], [_Threaded(*each) for each in threaded], interval)
