"""The page about a module's rollouts: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

import numpy as np

from grove_core.base.rollouts import RolloutState
from grove_core.reporting import series, tables
from grove_core.reporting.charts import Chart, Mark, Timeline, drawn
from grove_core.reporting.elements import Child, document, element
from grove_core.reporting.history import History, Story
from grove_core.reporting.lanes import TONES, course, short
from grove_core.reporting.period import Period, last_period
from grove_core.reporting.scales import duration
from grove_core.reporting.series import Figures, Line, Window
from grove_core.reporting.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Nothing is fetched and nothing is run, whatever a text smuggles in."""
E_VALUE, NEEDED = ".log10_e", "needed_log10_e"
"""How a judge by evidence calls the evidence in a contest, and what is needed to fail."""
LOWEST, HIGHEST = -5, 10
"""Between what evidence is drawn, as powers of ten."""
BOUNDS = ("stable", "bound", "limit")
"""What a judge by thresholds tells beside a figure."""


def page(told: History, number: int | None, source: str) -> str:
    """Return the page about one rollout of a module, the latest if none is named, and in short about the others.

    Args:
        told: what a file holds of the module.
        number: of the rollout.
        source: where that was read, for the reader.

    Raises:
        UnknownRollout: there is no such rollout.
    """
    story = told.story(number)
    seen = series.window(story)
    marks = [Mark(each.at, count, short(each)) for count, each in enumerate(story.decisions, 1)]
    timeline = Timeline(seen.low, seen.high, story.first.at, marks)
    judges = list(series.of_judges(story, seen))
    charts = [drawn(chart, timeline) for chart in _charts(story, seen, judges) if chart.lines]
    title = f"{told.module}: rollout {story.number}"
    return document(
        element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("meta", http_equiv="Content-Security-Policy", content=POLICY),
                element("title", title),
                element("style", STYLE),
            ),
            element(
                "body",
                element(
                    "main",
                    *_head(told.module, story),
                    element("h2", "Over time"),
                    _note(f"By the engine's clock, from the beginning of the rollout on.{_samples(seen)}"),
                    element("div", course(story, judges, timeline), *charts, class_="charts"),
                    element("h2", "What was decided"),
                    tables.decisions(story),
                    *_compared(last_period(story), story),
                    *_others(told, story, seen),
                    element("footer", f"By grove report from {source}, {_now()}."),
                ),
            ),
            lang="en",
        )
    )


def sentence(module: str, story: Story) -> str:
    """Say what became of a rollout, without the reason."""
    told, canary = story.last.told, story.first.canary
    took = duration(story.ends - story.first.at)
    match told.state:
        case RolloutState.PROMOTED:
            return f"{module} {canary} was promoted: after {took} it took over from {told.stable}."
        case RolloutState.FAILED | RolloutState.ABORTED | RolloutState.UNDONE:
            back = f"its {told.entities:,}" if told.entities else "its"
            verb = "failed" if told.state is RolloutState.FAILED else f"was {told.state}"
            return f"{module} {canary} {verb} after {took}, and {back} entities went back to {told.stable}."
        case RolloutState.RUNNING | RolloutState.WAITING | RolloutState.PAUSED:
            step = f"step {told.step} of {told.steps}"
            return f"The rollout of {module} {canary} is {told.state} in {step}, after {took}."


def _head(module: str, story: Story) -> Iterator[Element]:
    told = story.last.told
    yield element("h1", sentence(module, story))
    reason = told.reason[:1].upper() + told.reason[1:]
    yield element("p", reason if reason.endswith((".", "!", "?")) else f"{reason}.", class_="lead")
    attempts = max(each.told.attempt for each in story.decisions)
    facts: list[tuple[str, Child]] = [
        ("rollout", f"{story.number}" + (f", attempt {attempts}" if attempts > 1 else "")),
        ("it is", tables.chip(TONES[told.state], told.state.value)),
        ("versions", f"{told.stable} → {story.first.canary}"),
        ("plan", told.plan),
        ("steps taken", f"{told.step} of {told.steps}"),
        ("duration", duration(story.ends - story.first.at)),
        ("began", tables.wall(story.first.wall)),
    ]
    yield element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in facts))


def _charts(story: Story, seen: Window, judges: Sequence[Figures]) -> Iterator[Chart]:
    given = "percent of the entities that each version was given"
    yield Chart("Weight", given, series.of_weights(story, seen), "%", stepped=True)
    yield Chart("Entities", "how many each version had", series.of_entities(story, seen), stepped=True)
    yield Chart("Error rate", "percent of calls that failed, from each sample to the next", series.of_errors(seen), "%")
    half = series.of_versions(seen, "{} p50", lambda each: each.p50_process_time_ms)
    most = series.of_versions(seen, "{} p99", lambda each: each.p99_process_time_ms, dashed=True)
    yield Chart("Time of a tick", "ms, over the latest 4,096 ticks", [*half, *most])
    yield from (chart for figures in judges for chart in _judged(figures))
    megabytes = series.of_versions(seen, "{}", lambda each: (each.memory_usage_bytes or series.NAN) / 1e6)
    yield Chart("Memory", "MB, process and tables", megabytes)
    for name in series.observed_names(seen):
        lines = series.of_observed(seen, name)
        yield Chart(f"Observed: {name}", "mean of what came from each sample to the next", lines, zero=False)


def _judged(figures: Figures) -> Iterator[Chart]:
    """Yield the charts of one judge: evidence beside what is needed, and figures beside their bounds."""
    names = figures.names()
    contests = [name.removesuffix(E_VALUE) for name in names if name.endswith(E_VALUE)]
    if contests:
        lines = [_clipped(figures.line(name + E_VALUE, name, place)) for place, name in enumerate(contests, 2)]
        if NEEDED in names:
            lines.append(figures.line(NEEDED, "needed to fail", None, dashed=True))
        note = f"log10 of the evidence that the canary is worse; beyond {LOWEST} or {HIGHEST} it is drawn there"
        yield Chart(f"Judge {figures.judge}", note, _known(lines))
    for name in names:
        beside = [bound for bound in BOUNDS if f"{name}.{bound}" in names]
        if beside:
            lines = [figures.line(name, "canary", 1)]
            lines += [
                figures.line(f"{name}.{bound}", bound, 0 if bound == "stable" else None, bound != "stable")
                for bound in beside
            ]
            note = "since the step began, beside what it is held to"
            yield Chart(f"Judge {figures.judge}: {name}", note, _known(lines))


def _clipped(line: Line) -> Line:
    """Keep a line within what matters: evidence far beyond what is needed, or far from it, says no more."""
    return replace(line, y=np.clip(line.y, LOWEST, HIGHEST))


def _known(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if not np.isnan(line.y).all()]


def _compared(period: Period | None, story: Story) -> Iterator[Element]:
    yield element("h2", "Versions side by side")
    if period is None:
        yield _note("The file has no samples of a time in which both had a weight.")
        return
    begins, ends = period.begins - story.first.at, period.ends - story.first.at
    weight = "" if period.weight is None else f" with {100 * period.weight:.4g}% in the canary"
    if period.whole:
        text = (
            f"What each did in the last period{weight}, between the samples at {begins:,.1f} and {ends:,.1f} s. "
            "Between the brackets the truth lies, with 95% confidence, however often one looks."
        )
    else:
        text = (
            "The file has no totals from which the last period could be told by itself; these are the figures since "
            f"each version was loaded, as of {ends:,.1f} s."
        )
    yield _note(text)
    yield tables.side_by_side(period)


def _others(told: History, story: Story, seen: Window) -> Iterator[Element]:
    meanwhile = [each for each in story.run.happenings if each.last >= seen.low and each.first <= seen.high]
    before = [each for each in story.run.happenings if each.last < seen.low]
    if meanwhile or before:
        yield element("h2", "What else happened")
        yield _note("To this module, while the charts last; what came several times in a row is told once.")
        yield tables.happenings(meanwhile, story.first.at)
    if before:
        count = f"{len(before):,} before" if len(before) <= tables.EVENTS else f"the latest {tables.EVENTS} before"
        earlier = tables.happenings(before, story.first.at)
        yield element("details", element("summary", f"And {count}"), earlier, class_="before")
    others = [each for each in told.stories if each is not story]
    if others:
        yield element("h2", "Other rollouts")
        yield tables.stories(others[::-1])


def _note(text: str) -> Element:
    return element("p", text, class_="note")


def _samples(seen: Window) -> str:
    if not seen.moments:
        return " The file has no samples of this time: the setting sample_interval_seconds says how often they come."
    return f" There {'is one sample' if len(seen.moments) == 1 else f'are {len(seen.moments):,} samples'}."


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat(" ", "seconds")[:19]
