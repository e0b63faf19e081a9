"""Parts and packages that break what the scenarios of reliability assert: for real, and tidied up by the test."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice, Settings
from grove_core.runtime.copies.claims import folder_prefix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.parts.contracts import Population
    from grove_core.scenario.common.outcome import Outcome

PATIENT = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=60.0)
"""Limits that no slow machine reaches."""
KEPT = 4 << 20
"""How many bytes are kept of each split where memory is."""


class Kept(Enum):
    """What is kept of every split, for ever."""

    NOTHING = "nothing"
    MEMORY = "memory"
    DESCRIPTOR = "descriptor"
    MAPPING = "mapping"
    FOLDER = "folder"
    PROCESS = "process"


class Keeping:
    """A plugin with a router that keeps something of every split: an engine with it leaks."""

    def __init__(self, what: Kept) -> None:
        self.kept: list[Any] = []
        self._what = what

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        self._keep()
        target = np.empty(len(population.ids), np.int32)
        target[np.argsort(population.ids)] = np.repeat(np.arange(len(quota), dtype=np.int32), quota)
        return target

    @hookimpl
    def grove_register_routers(self) -> Mapping[str, Callable[[], Any]]:
        return {"keeping": lambda: self}

    @property
    def settings(self) -> Settings:
        """Those of an engine that takes this router."""
        return Settings(
            router=Choice("keeping"),
            tick_deadline_ms=PATIENT.tick_deadline_ms,
            load_deadline_seconds=PATIENT.load_deadline_seconds,
        )

    def tidy_up(self) -> None:
        for each in self.kept:
            if isinstance(each, int):
                os.close(each)
            elif isinstance(each, mmap.mmap):
                each.close()
            elif isinstance(each, tempfile.TemporaryDirectory):
                each.cleanup()
            elif isinstance(each, subprocess.Popen):
                each.kill()
                each.wait()

    def _keep(self) -> None:
        match self._what:
            case Kept.MEMORY:
                self.kept.append(np.ones(KEPT, np.uint8))
            case Kept.DESCRIPTOR:
                self.kept.append(os.dup(0))
            case Kept.MAPPING:
                descriptor = os.memfd_create("grove:kept")
                os.ftruncate(descriptor, mmap.PAGESIZE)
                self.kept.append(mmap.mmap(descriptor, mmap.PAGESIZE))
                os.close(descriptor)
            case Kept.FOLDER:
                self.kept.append(tempfile.TemporaryDirectory(prefix=folder_prefix()))
            case Kept.PROCESS:
                self.kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
            case Kept.NOTHING:
                pass


def assert_broken(outcome: Outcome, broken: Any, *words: str) -> str:
    """Make sure that a run failed by this assertion, and says so; return its text."""
    text = outcome.text()
    assert outcome.assertions[broken] is False, text
    assert f"✗ {broken}" in text
    assert [word for word in words if word not in text] == [], text
    assert not outcome.passed
    assert outcome.document()["result"] == "FAILED"
    assert "❌ FAILED" in text
    return text


def assert_passed(outcome: Outcome, *but: Any) -> str:
    """Make sure that a run passed, but for assertions that a short run or a busy machine says nothing about."""
    text = outcome.text()
    assert [each for each, held in outcome.assertions.items() if not held and each not in but] == [], text
    assert outcome.error is None
    return text
