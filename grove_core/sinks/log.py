"""The sink `structlog`: events in the program's own log."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import structlog

from grove_core.base.events import TROUBLE, Event, EventKind


class LogLevel(StrEnum):
    """Which events are logged."""

    INFO = "info"
    """All of them."""
    WARNING = "warning"
    """Those that are trouble."""
    OFF = "off"
    """None."""


class LogLevels:
    """Which events one log gets, by kind and module. Replaced as a whole, never changed.

    Args:
        levels: (module, kind) -> level, None standing for any. Of several that fit, the one with both counts, then the
            one with a kind, then the one with a module. Where none fits, all is logged.
    """

    def __init__(self, levels: Mapping[tuple[str | None, EventKind | None], LogLevel] | None = None) -> None:
        self.levels = dict(levels or {})

    def level_of(self, event: Event) -> LogLevel:
        """Return the level that counts for an event."""
        for module, kind in ((event.module, event.kind), (None, event.kind), (event.module, None), (None, None)):
            if (level := self.levels.get((module, kind))) is not None:
                return level
        return LogLevel.INFO

    def let_through(self, event: Event) -> bool:
        """Tell whether an event is logged."""
        level = self.level_of(event)
        return level is LogLevel.INFO or (level is LogLevel.WARNING and event.kind in TROUBLE)

    def having(self, module: str | None, kind: EventKind | None, level: LogLevel | None) -> LogLevels:
        """Return these with one more, or another one; None as the level takes it away."""
        others = {key: each for key, each in self.levels.items() if key != (module, kind)}
        return LogLevels(others if level is None else {**others, (module, kind): level})


class Structlog:
    """Logs each event, module and version bound, as a warning if it is trouble; how it looks the program configures.

    It is called in the engine's own thread: its lines stay in order with those of the program.

    Args:
        logger: the logger's name.
    """

    def __init__(self, logger: str = "grove") -> None:
        self._log = structlog.get_logger(logger)
        self.levels = LogLevels()
        """Which events are logged; a `DebugEngine` sets it."""

    def event_inline(self, event: Event) -> None:
        """Log what happened."""
        if not self.levels.let_through(event):
            return
        log = self._log
        if event.module is not None:
            log = log.bind(module=event.module)
        if event.version is not None:
            log = log.bind(version=str(event.version))
        (log.warning if event.kind in TROUBLE else log.info)(event.kind.value, **event.details)

    def close(self) -> None:
        """Leave the log to the program."""
