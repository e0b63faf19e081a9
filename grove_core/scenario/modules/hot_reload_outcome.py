"""What a run of `hot-reload` comes to: its metrics, what they are held against, and its text."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from grove_core.scenario.common.footprint import METHOD
from grove_core.scenario.common.judged import Threshold
from grove_core.scenario.common.outcome import Gauge, Outcome, Section, percentile
from grove_core.scenario.frames import Spread
from grove_core.scenario.modules.hot_reload_code import BROKEN_LINE, Code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grove_core.scenario.modules.hot_reload import HotReloadSeen
    from grove_core.scenario.modules.hot_reload_frames import Frames

RELOAD_MS = 500.0
WORST_MS = 1000.0
BUDGET_MS = 16.7
GROWTH_MB = 5.0
ROUND = [2, 3, 2, 1]
"""The codes that a round goes to, by their numbers."""
SHOWN = 10
"""How many sentences of a kind are shown."""


class Metric(StrEnum):
    """The metrics."""

    CHANGES = "changes"
    RELOAD_P50_MS = "reload_p50_ms"
    RELOAD_WORST_MS = "reload_worst_ms"
    PAUSE_P50_MS = "pause_p50_ms"
    PAUSE_WORST_MS = "pause_worst_ms"
    FRAME_P50_MS = "frame_p50_ms"
    FRAME_P99_MS = "frame_p99_ms"
    OWN_FRAMES_OVER = "own_frames_over_budget"
    FRAMES_OVER = "frames_over_budget"
    PLAIN_FRAMES_OVER = "plain_frames_over_budget"
    ENTITIES = "entities_kept"
    DIFFERENCES = "differences"
    MEMORY_GROWTH_MB = "memory_growth_mb"
    LEFT_OVER = "left_over"


class Assertion(StrEnum):
    """What a run is to prove."""

    ENGINE_ALIVE = "engine_alive"
    RELOADS_FAST = "reloads_fast"
    FRAMES_KEPT = "frames_kept"
    EVERY_CHANGE_TOOK_EFFECT = "every_change_took_effect"
    ENTITIES_EXACT = "entities_exact"
    NO_TICK_LOST = "no_tick_lost"
    SYNTAX_ERROR_KEEPS_THE_OLD_CODE = "syntax_error_keeps_the_old_code"
    OTHER_SCHEMA_REFUSED = "other_schema_refused"
    MEMORY_BOUNDED = "memory_bounded"
    NOTHING_LEFT = "nothing_left"


def gauges(entities: int) -> dict[Metric, Gauge]:
    """Return the metrics of a run with so many tanks."""
    return {
        Metric.CHANGES: Gauge("Changes of code", "{:d}", Threshold(above=0)),
        Metric.RELOAD_P50_MS: Gauge("Reload, p50", "{:.1f}ms", Threshold(below=RELOAD_MS)),
        Metric.RELOAD_WORST_MS: Gauge("Reload, worst", "{:.1f}ms", Threshold(below=WORST_MS)),
        Metric.PAUSE_P50_MS: Gauge("Of it, ticks had to wait, p50", "{:.2f}ms", Threshold(below=BUDGET_MS)),
        Metric.PAUSE_WORST_MS: Gauge("The same, worst", "{:.2f}ms", Threshold(below=BUDGET_MS, binding=False)),
        Metric.FRAME_P50_MS: Gauge("Frame during a change, p50", "{:.2f}ms", Threshold(below=BUDGET_MS)),
        Metric.FRAME_P99_MS: Gauge("The same, p99", "{:.2f}ms", Threshold(below=BUDGET_MS, binding=False)),
        Metric.OWN_FRAMES_OVER: Gauge(
            "Frames over the budget by themselves, during changes", "{:d}", Threshold(target=0)
        ),
        Metric.FRAMES_OVER: Gauge("The same with waits for a processor", "{:d}", Threshold(target=0, binding=False)),
        Metric.PLAIN_FRAMES_OVER: Gauge(
            "The same with them, all other frames", "{:d}", Threshold(target=0, binding=False)
        ),
        Metric.ENTITIES: Gauge("Tanks kept", "{:d}", Threshold(target=entities)),
        Metric.DIFFERENCES: Gauge("Differences from the reference", "{:d}", Threshold(target=0)),
        Metric.MEMORY_GROWTH_MB: Gauge("Memory growth", "{:.2f}MB", Threshold(below=GROWTH_MB)),
        Metric.LEFT_OVER: Gauge("Processes, descriptors, mappings, folders left", "{:d}", Threshold(target=0)),
    }


def outcome(seen: HotReloadSeen) -> Outcome:
    """Compute metrics and assertions from what was seen."""
    pauses, patched = [each.pause_ms for each in seen.patches], Spread.of_ms(seen.patched.ms)
    metrics: dict[Metric, float | None] = {
        Metric.CHANGES: len(seen.patches),
        Metric.RELOAD_P50_MS: percentile(seen.wall_ms, 50),
        Metric.RELOAD_WORST_MS: max(seen.wall_ms, default=None),
        Metric.PAUSE_P50_MS: percentile(pauses, 50),
        Metric.PAUSE_WORST_MS: max(pauses, default=None),
        Metric.FRAME_P50_MS: None if patched is None else patched.p50,
        Metric.FRAME_P99_MS: None if patched is None else patched.p99,
        Metric.OWN_FRAMES_OVER: seen.patched.over(BUDGET_MS)[1],
        Metric.FRAMES_OVER: seen.patched.over(BUDGET_MS)[0],
        Metric.PLAIN_FRAMES_OVER: seen.plain.over(BUDGET_MS)[0],
        Metric.ENTITIES: min((each.entities for each in seen.patches), default=0),
        Metric.DIFFERENCES: len(seen.differences),
        Metric.MEMORY_GROWTH_MB: None if seen.growth is None else seen.growth.megabytes,
        Metric.LEFT_OVER: len(seen.left),
    }
    shown = gauges(seen.entities)

    def met(*names: Metric) -> bool:
        return all(shown[name].threshold.holds(metrics[name]) for name in names)

    alive = seen.error is None
    refused = {code: _refused(seen, code) for code in (Code.BROKEN, Code.OTHER_SCHEMA)}
    effects, lost = list(_effects(seen)), list(_lost(seen))
    return Outcome(
        title="Hot reload: other code in the place of a version that drives tanks",
        facts={"scenario": "hot-reload", "entities": seen.entities, "rounds": seen.rounds, "ticks": seen.ticks},
        about=(
            f"{seen.entities} tanks at 60 Hz in one thread. Another one patches {seen.rounds} times from 1.0.0 to",
            "1.0.1, to changed code of that, and undoes both; code with a syntax error and",
            "code with another schema come in between.",
        ),
        gauges=shown,
        metrics=metrics,
        assertions={
            Assertion.ENGINE_ALIVE: alive,
            Assertion.RELOADS_FAST: met(Metric.CHANGES, Metric.RELOAD_P50_MS, Metric.RELOAD_WORST_MS),
            Assertion.FRAMES_KEPT: met(Metric.PAUSE_P50_MS, Metric.FRAME_P50_MS, Metric.OWN_FRAMES_OVER),
            Assertion.EVERY_CHANGE_TOOK_EFFECT: not effects and alive,
            Assertion.ENTITIES_EXACT: met(Metric.ENTITIES, Metric.DIFFERENCES) and alive,
            Assertion.NO_TICK_LOST: not lost and alive,
            Assertion.SYNTAX_ERROR_KEEPS_THE_OLD_CODE: not refused[Code.BROKEN] and alive,
            Assertion.OTHER_SCHEMA_REFUSED: not refused[Code.OTHER_SCHEMA] and alive,
            Assertion.MEMORY_BOUNDED: met(Metric.MEMORY_GROWTH_MB),
            Assertion.NOTHING_LEFT: met(Metric.LEFT_OVER) and alive,
        },
        notes={
            Assertion.EVERY_CHANGE_TOOK_EFFECT: effects,
            Assertion.ENTITIES_EXACT: seen.differences[:SHOWN],
            Assertion.NO_TICK_LOST: lost[:SHOWN],
            Assertion.SYNTAX_ERROR_KEEPS_THE_OLD_CODE: refused[Code.BROKEN][:SHOWN],
            Assertion.OTHER_SCHEMA_REFUSED: refused[Code.OTHER_SCHEMA][:SHOWN],
            Assertion.NOTHING_LEFT: seen.left[:SHOWN],
        },
        sections=(Section("The run", tuple(_run(seen))),),
        details={"memory": None if seen.growth is None else seen.growth.document()},
        error=seen.error,
    )


def _effects(seen: HotReloadSeen) -> Iterator[str]:
    """Say which change did not do what it should: ticks must have gone by each code in turn."""
    expected = [1, *ROUND * seen.rounds]
    if seen.codes != expected:
        place = next((n for n, pair in enumerate(zip(seen.codes, expected, strict=False)) if pair[0] != pair[1]), None)
        where = min(len(seen.codes), len(expected)) if place is None else place
        found = seen.codes[where] if where < len(seen.codes) else "nothing"
        yield f"after {where} changes ticks went by {found} where code {expected[where : where + 1]} was due"


def _lost(seen: HotReloadSeen) -> Iterator[str]:
    yield from seen.missed
    if seen.document_ticks is not None and seen.document_ticks != seen.ticks:
        yield f"the document tells of {seen.document_ticks} ticks, and there were {seen.ticks}"


def _refused(seen: HotReloadSeen, code: Code) -> list[str]:
    """Say where code was not refused as it must be, with what helps to mend it."""
    error, words = {
        Code.BROKEN: ("LoadFailed", ("SyntaxError", "__init__.py", f"line {BROKEN_LINE}")),
        Code.OTHER_SCHEMA: ("PatchRefused", ("fuel is new", "load_module_version")),
    }[code]
    mine = [each for each in seen.refusals if each.code is code]
    wrong = [f"{code} was not refused"] * sum(each.error is None for each in mine)
    for each in mine:
        if each.error is not None and (each.error != error or any(word not in each.text for word in words)):
            wrong.append(f"{code} was refused by {each.error}: {each.text.splitlines()[0]}")
    return [*wrong, *[f"{code} came {len(mine)} times instead of {seen.rounds}"] * (len(mine) != seen.rounds)]


def _run(seen: HotReloadSeen) -> Iterator[str]:
    yield f"{seen.ticks} ticks, {len(seen.patches)} changes of code, {len(seen.refusals)} refusals"
    yield "A reload: one call, from the copy of the package until the old code has"
    yield "ended; it begins at any time of a frame. A frame: a look at all tanks, a tick,"
    yield "and the wait for a turn; during a change: also the first after it. Its budget"
    yield f"is {BUDGET_MS:.1f} ms; by itself: without the time in which one of those who work for"
    yield "it had no processor, as on a busy machine."
    yield from _frames("during a change", seen.patched)
    yield from _frames("otherwise", seen.plain)
    if seen.growth is not None:
        yield seen.growth.line()
    yield from METHOD
    yield "First after a round, then at the end, each with 1.0.0 and nothing to undo."


def _frames(when: str, frames: Frames) -> Iterator[str]:
    if (spread := Spread.of_ms(frames.ms)) is not None:
        late, own = frames.over(BUDGET_MS)
        yield f"Frames {when}: {spread.count}, p50 {spread.p50:.2f}, p99 {spread.p99:.2f}, worst {spread.max:.2f} ms;"
        yield f"  {late} over the budget, {own} by themselves"
