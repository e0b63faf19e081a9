"""What the log gets, while an engine runs."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from grove_core.base.errors import InvalidInput, Refused
from grove_core.base.events import EventKind
from grove_core.base.interrupts import put_off
from grove_core.base.showing import brief
from grove_core.engine import MultiVersionEngine
from grove_core.sinks.log import LogLevel, Structlog

Member = TypeVar("Member", bound=StrEnum)
Levels = dict[tuple[str | None, EventKind | None], LogLevel]
"""(module, kind) -> level; None stands for any."""


class LevelCalls(MultiVersionEngine):
    """Sets which events are logged. Only this engine's log changes, and nothing but the log: `events` has them all."""

    def set_log_level(
        self, level: LogLevel | str | None, *, module: str | None = None, kind: EventKind | str | None = None
    ) -> None:
        """Say which events the sink `structlog` logs from now on.

        Of several levels that fit an event, one with both module and kind counts, then one with a kind, then one with a
        module.

        Args:
            level: "info" (all), "warning" (those that are trouble), "off" (none), or None to take back what was said.
            module: events of this module; None for those of all, and of none.
            kind: events of this kind; None for those of all.

        Raises:
            InvalidInput: there is no such level or kind, or `module` is no name.
            Refused: this engine has no sink `structlog`.
        """
        chosen = None if level is None else _member(LogLevel, level, "level of the log")
        which = None if kind is None else _member(EventKind, kind, "kind of event")
        if not isinstance(module, str | None):
            raise InvalidInput(f"module is {brief(module)}; it must be the name of a module")
        with self._turns.take("set_log_level"), put_off():
            for log in self._logs():
                log.levels = log.levels.having(module, which, chosen)

    def log_levels(self) -> Levels:
        """Return what was said by `set_log_level` and holds.

        Raises:
            Refused: this engine has no sink `structlog`.
        """
        with self._turns.take("log_levels"):
            return dict(self._logs()[0].levels.levels)

    def _logs(self) -> list[Structlog]:
        logs = [sink for sink in self._context.sinks.inline if isinstance(sink, Structlog)]
        if not logs:
            raise Refused("this engine logs nothing: its setting `sinks` does not name structlog")
        return logs


def _member(members: type[Member], given: str, what: str) -> Member:
    try:
        return members(given)
    except ValueError:
        raise InvalidInput(f"{brief(given)} is no {what}; there are {', '.join(members)}") from None
