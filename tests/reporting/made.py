"""Files as the sink `jsonl` writes them, and pages as a browser reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from packaging.version import Version

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.events import Event, EventKind
from grove_core.base.histogram import Histogram
from grove_core.base.metrics import Average, VersionMetrics
from grove_core.base.samples import Sample
from grove_core.reporting.history import history
from grove_core.reporting.page import page
from grove_core.sinks.reading import read_events
from grove_core.sinks.recorded import line_of

MODULE = "game"
ONE, TWO = Version("1.0.0"), Version("2.0.0")
(HALF_MS,) = Histogram.of([0.5]).buckets()
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Reads a page; every element must be closed where it ought to be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        """The tag that a text is in, and the text."""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag]

    def count(self, tag: str, **attributes: str) -> int:
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.tags)

    @property
    def text(self) -> str:
        return " ".join(text for inside, text in self.texts if inside != "style")


def write(path: Path, items: Iterable[Event | Sample]) -> Path:
    path.write_bytes(b"".join(map(line_of, items)))
    return path


def told(path: Path, module: str = MODULE, number: int | None = None) -> Page:
    """Return the page about a module, from a file."""
    return Page(page(history(module, read_events(path)), number, str(path)))


def decided(at: float, kind: str, state: str, number: int = 1, **details: Any) -> Event:
    usual = {
        "rollout": number,
        "plan": "canary",
        "stable": str(ONE),
        "state": state,
        "step": 1,
        "steps": 1,
        "attempt": 1,
        "reason": "it is so",
        "evidence": {},
    }
    return Event(EventKind(kind), at, MODULE, TWO, {**usual, **details}, wall=1e9 + at)


def started(at: float, number: int = 1, **details: Any) -> Event:
    return decided(at, "rollout_started", "running", number, what="10% for 30 s", weight=0.1, **details)


def metrics(version: Version, at: float, entities: int, **totals: Any) -> VersionMetrics:
    """Return what a version did that failed once in 50 calls, ten ticks a second."""
    ticks = round(10 * at)
    calls = ticks * entities
    usual: dict[str, Any] = {
        "observed": {"fun": Average(calls, 3.5, calls * 14.0)} if calls else {},
        "calls": calls,
        "failed_calls": calls // 50,
        "durations": {HALF_MS: ticks} if ticks else {},
    }
    weight = entities / 10
    return VersionMetrics(
        version, entities, weight, weight, ticks, calls, 0.5, 0.5, 0.9, 20_000_000, at, calls // 50, MODULE,
        **{**usual, **totals},
    )  # fmt: skip


def sample(at: float, judged: Mapping[str, Judgement] | None = None, versions: Any = None) -> Sample:
    both = (metrics(ONE, at, 900), metrics(TWO, at, 100)) if versions is None else versions
    return Sample(MODULE, at, 1e9 + at, both, judged or {})


def passing(power: float) -> dict[str, Judgement]:
    figures = {"needed_log10_e": 2.0, "errors.log10_e": power, "errors.canary_trials": 100.0}
    return {"evidence": Judgement(Verdict.PASS, "nothing shows that it is worse", figures)}


def good(seconds: int = 30) -> list[Event | Sample]:
    """Return a rollout that was promoted."""
    samples = [sample(float(at), passing(-at / 10)) for at in range(1, seconds + 1)]
    said = {"evidence": {"verdict": "pass", "reason": "so", "needed_log10_e": 2.0, "errors.log10_e": -3.0}}
    ended = decided(seconds, "rollout_promoted", "promoted", evidence=said)
    return [sample(0.0), started(0.0), *samples, ended, *(sample(seconds + at) for at in (1.0, 2.0))]
