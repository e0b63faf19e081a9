"""The sink `structlog`: events in the program's own log."""

from __future__ import annotations

import structlog

from grove_core.base.events import TROUBLE, Event


class Structlog:
    """Logs each event, module and version bound, as a warning if it is trouble; how it looks the program configures.

    It is called in the engine's own thread: its lines stay in order with those of the program.

    Args:
        logger: the logger's name.
    """

    def __init__(self, logger: str = "grove") -> None:
        self._log = structlog.get_logger(logger)

    def event_inline(self, event: Event) -> None:
        """Log what happened."""
        log = self._log
        if event.module is not None:
            log = log.bind(module=event.module)
        if event.version is not None:
            log = log.bind(version=str(event.version))
        (log.warning if event.kind in TROUBLE else log.info)(event.kind.value, **event.details)

    def close(self) -> None:
        """Leave the log to the program."""
