"""Faults committed on purpose, around a version's code and never inside it."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from grove_core.author.entities import Entities
from grove_core.author.schema import Schema
from grove_core.wire.messages import Inject, InjectedKind


class InjectedFault(Exception):
    """What an injected raise raises."""


class FaultInjector:
    """Holds at most one fault, and commits it once `process` has done its work in the tick it is meant for."""

    def __init__(self, schema: Schema) -> None:
        self._armed: Inject | None = None
        self._floats = [
            spec.name for spec in schema.specs if not spec.constant and spec.dtype.kind == "f" and not spec.column.nan
        ]

    def arm(self, fault: Inject) -> None:
        """Hold a fault.

        Raises:
            ValueError: there is no column in which NaN would be a fault.
        """
        if fault.kind is InjectedKind.CORRUPTION and not self._floats:
            raise ValueError("corruption needs a writable float column that refuses NaN; this version has none")
        self._armed = fault

    def commit(self, tick: int, entities: Entities) -> None:
        """Commit the fault, if this is its tick."""
        fault = self._armed
        if fault is None or (fault.at is not None and fault.at != tick):
            return
        self._armed = None
        if fault.kind is InjectedKind.RAISE:
            raise InjectedFault("an injected fault")
        if fault.kind is InjectedKind.LAG:
            time.sleep(fault.seconds)
        elif fault.kind is InjectedKind.CORRUPTION:
            entities[self._floats[0]][...] = np.nan
        else:
            os.kill(os.getpid(), signal.SIGKILL)
