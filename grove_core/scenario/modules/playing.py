"""A run of cases: what is seen of it, and how the command line plays it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from grove_core.scenario.common.command import conclude, progress, quiet
from grove_core.scenario.modules.cases import CaseSeen

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

Watcher = Callable[["DebugEngine", StrEnum], None]
"""Called before each case with the engine."""


@dataclass
class RunSeen:
    """What was seen during a run."""

    entities: int
    rounds: int
    played: tuple[StrEnum, ...]
    """What was to be played."""
    cases: list[CaseSeen] = field(default_factory=list)
    real_seconds: float = 0.0
    left: list[str] = field(default_factory=list)
    error: str | None = None


def play(title: str, cases: Collection[StrEnum], run: Callable[[Watcher], Outcome], json_path: Path | None) -> int:
    """Run cases for the command line, with a bar; see `conclude` for the exit code."""
    done = 0
    with quiet(), progress(len(cases), "cases", title) as told:

        def show(_: DebugEngine, case: StrEnum) -> None:
            nonlocal done
            if told is not None:
                told(done, f"{title}: {case}")
            done += 1

        result = run(show)
    return conclude(result.text(), result.document(), result.passed, json_path)
