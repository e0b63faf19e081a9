"""The cases of a scenario: what is done some times, how long it took, and what was not as it must be."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from grove_core.base.errors import GroveError
from grove_core.scenario.common.outcome import percentile
from grove_core.scenario.common.text import mark
from grove_core.scenario.frame_clock import read_shares, waited_ms

SHOWN = 10
"""How many sentences of a case are shown."""


@dataclass
class CaseSeen:
    """What was seen of one case."""

    case: StrEnum
    ms: list[float] = field(default_factory=list)
    """How long it took, each time."""
    net_ms: list[float] = field(default_factory=list)
    """The same without the time for which engine and workers had no processor: other programs had it."""
    pids: Callable[[], Iterable[int]] = tuple
    """Gives the processes that take part."""
    wrong: list[str] = field(default_factory=list)
    """What was not as it must be, a sentence each."""
    differences: list[str] = field(default_factory=list)
    """Which values were not as the reference has them, a sentence each."""
    done: bool = False
    """Whether it was played to its end."""
    told: str = ""
    """What the engine said the last time that it refused something."""

    @property
    def held(self) -> bool:
        """Whether all was as it must be."""
        return self.done and not self.wrong and not self.differences

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time within."""
        pids = list(self.pids())
        before = read_shares(pids)
        began = time.perf_counter()
        try:
            yield
        finally:
            ms = (time.perf_counter() - began) * 1000
            self.ms.append(ms)
            self.net_ms.append(ms - (waited_ms(os.getpid(), ms, before, read_shares(pids)) or 0.0))

    def must(self, holds: object, otherwise: str) -> None:
        """Note what is wrong, unless something holds."""
        if not holds:
            self.wrong.append(otherwise)

    def refused(self, kind: type[GroveError], call: Callable[[], object], *words: str) -> str:
        """Do what must be refused with an error of a kind that has these words; return what it says."""
        self.told = ""
        with self.timed():
            try:
                call()
            except GroveError as error:
                self.told, found = str(error), type(error).__name__
        if not self.told:
            self.wrong.append(f"it was not refused, and ought to be with {kind.__name__}")
        else:
            self.must(found == kind.__name__, f"it was refused with {found} instead of {kind.__name__}: {self.told}")
            for word in words:
                self.must(word in self.told, f"the error does not say {word!r}: {self.told}")
        return self.told

    @property
    def p50_ms(self) -> float | None:
        """The median; one round that a busy machine held up does not change it."""
        return percentile(self.ms, 50)

    @property
    def worst_ms(self) -> float | None:
        """The longest."""
        return max(self.ms, default=None)

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "case": self.case,
            "times": len(self.ms),
            "p50_ms": self.p50_ms,
            "worst_ms": self.worst_ms,
            "net_p50_ms": percentile(self.net_ms, 50),
            "wrong": [*self.wrong, *self.differences],
            "told": self.told,
        }


def net_p50_ms(cases: Iterable[CaseSeen], *of: StrEnum) -> float | None:
    """Return the median of what some cases took, time without a processor left out; None if none was played."""
    return percentile([ms for each in cases if each.case in of for ms in each.net_ms], 50)


def worst_ms(cases: Iterable[CaseSeen], *of: StrEnum) -> float | None:
    """Return the longest that any of some cases took; None if none of them was played."""
    return max((ms for each in cases if each.case in of for ms in each.ms), default=None)


def held(cases: Sequence[CaseSeen], played: Sequence[StrEnum], *of: StrEnum) -> bool | None:
    """Tell whether nothing was wrong in some cases; None if none of them was to be played."""
    wanted = [case for case in of if case in played]
    there = {each.case: each for each in cases}
    return all(case in there and there[case].held for case in wanted) if wanted else None


def notes(cases: Iterable[CaseSeen], *of: StrEnum) -> list[str]:
    """Return what was wrong in some cases."""
    wrong = [
        (each.case, sentence) for each in cases if each.case in of for sentence in (*each.wrong, *each.differences)
    ]
    return [f"{case}: {sentence}" for case, sentence in wrong[:SHOWN]]


def table(cases: Iterable[CaseSeen]) -> Iterator[str]:
    """Return the lines of a table, a case each."""
    yield f"  {'':<47}{'times':>5}{'p50':>10}{'worst':>10}"
    for each in cases:
        ms = [f"{value:.1f}ms" if value is not None else "" for value in (each.p50_ms, each.worst_ms)]
        yield f"{mark(each.held)} {each.case:<47}{len(each.ms):>5}{ms[0]:>10}{ms[1]:>10}"


def same_bits(one: Any, other: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which values of two columns are the same, bit for bit; shape (n,)."""
    bits = np.dtype(f"u{one.dtype.itemsize}")
    return np.asarray(one.view(bits) == other.astype(one.dtype).view(bits))
