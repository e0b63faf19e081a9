"""What the engine promises those that take events and samples out of it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from grove_core.base.events import Event
from grove_core.base.samples import Sample


class Sink(Protocol):
    """Takes events and samples out of the engine: into a file, a log, a monitoring system.

    It runs on a thread of its own behind a bounded queue: the engine never waits for it, and what it cannot keep up
    with is dropped and counted. One that raises is switched off, as an event. Its factory is called in the thread that
    makes the engine: what is wrong with its options, or a port that is taken, is an error there. What it is given is
    shared with other sinks: it changes nothing of it. Example, a whole plugin::

        class Printed:
            def event(self, event):
                print(event.kind, event.module, dict(event.details))

            def sample(self, sample):
                pass

            def close(self):
                pass

        @hookimpl
        def grove_register_sinks():
            return {"printed": Printed}
    """

    def event(self, event: Event) -> None:
        """Take what happened, in the order in which it did."""
        ...

    def sample(self, sample: Sample) -> None:
        """Take how one module does, every `sample_interval_seconds` by the clock."""
        ...

    def close(self) -> None:
        """Write what is left; nothing comes afterwards."""
        ...


@runtime_checkable
class InlineSink(Protocol):
    """A sink that is called in the engine's own thread, as things happen, and gets no samples.

    For what must stay in order with what the program does itself, as lines of its log do. Its time is the engine's:
    one that waits, waits within a tick. A sink that has `event_inline` is one, whatever else it has.
    """

    def event_inline(self, event: Event) -> None:
        """Take what happened, at once. One that raises is switched off; the call or the tick goes on."""
        ...

    def close(self) -> None:
        """Write what is left; nothing comes afterwards."""
        ...
