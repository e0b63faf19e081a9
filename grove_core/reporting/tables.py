"""The tables of a report: decisions with their evidence, versions side by side, and what else happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree.ElementTree import Element

from packaging.version import Version

from grove_core.base.compared import Figure, Metric, cell, plain, ratio
from grove_core.base.events import TROUBLE
from grove_core.reporting.elements import Child, element
from grove_core.reporting.history import Happening, Story
from grove_core.reporting.lanes import TONES, VERDICTS, short, sign
from grove_core.reporting.period import Period
from grove_core.reporting.recorded import Said
from grove_core.reporting.scales import duration

LONGEST: Final = 300
"""So many characters of what an event tells are shown."""
EVENTS: Final = 300
"""So many events are shown, the latest."""
TROUBLED: Final = frozenset(kind.value for kind in TROUBLE)


def decisions(story: Story) -> Element:
    """Return the table of what was decided, why, and on what evidence."""
    rows = []
    for number, each in enumerate(story.decisions, 1):
        told = each.told
        tone = TONES[told.state]
        where = f"step {told.step} of {told.steps}" if told.step else f"before step 1 of {told.steps}"
        rows.append(
            element(
                "tr",
                element("td", element("b", str(number)), class_="number"),
                element("td", f"{each.at - story.first.at:,.1f} s", class_="time", title=wall(each.wall)),
                element("td", chip(tone, short(each)), element("small", where)),
                element("td", told.reason, _moved(told.entities, told.stable), *map(_said, each.said.items())),
                id=f"decision-{number}",
            )
        )
    return table(("#", "time", "what", "why"), rows, "decisions")


def side_by_side(period: Period) -> Element:
    """Return the A/B table."""
    titles: list[Child] = ["", *(_title(version, period.stable) for version in period.versions)]
    titles += [f"{version} beside stable" for version in period.versions[1:]]
    rows = [
        element(
            "tr",
            element("th", f"{metric.name} ({metric.unit})" if metric.unit else metric.name, scope="row"),
            *(element("td", _cell(metric, version)) for version in period.versions),
            *(element("td", ratio(metric.figures[version])) for version in period.versions[1:]),
        )
        for metric in period.metrics
    ]
    return table(titles, rows, "figures")


def happenings(every: Sequence[Happening], zero: float) -> Element:
    """Return the table of other events, the latest of them."""
    rows = []
    for each in every[-EVENTS:]:
        tone = "bad" if each.kind in TROUBLED else "plain"
        time = f"{each.first - zero:,.1f} s"
        if each.times > 1:
            time = f"{time} to {each.last - zero:,.1f} s"
        kind = each.kind.replace("_", " ")
        rows.append(
            element(
                "tr",
                element("td", time, class_="time", title=wall(each.wall)),
                element("td", chip(tone, kind), element("small", f"{each.times:,} times") if each.times > 1 else None),
                element("td", each.version or ""),
                element("td", listed(each.details)),
            )
        )
    return table(("time", "what", "version", "details"), rows, "events")


def stories(every: Iterable[Story]) -> Element:
    """Return the table of rollouts, in short."""
    rows = []
    for each in every:
        told = each.last.told
        rows.append(
            element(
                "tr",
                element("td", element("b", str(each.number)), class_="number"),
                element("td", wall(each.first.wall)),
                element("td", f"{told.stable} → {each.first.canary}"),
                element("td", told.plan),
                element("td", duration(each.ends - each.first.at), class_="time"),
                element("td", chip(TONES[told.state], told.state.value)),
                element("td", told.reason),
            )
        )
    return table(("#", "began", "versions", "plan", "took", "it is", "why"), rows, "stories")


def chip(tone: str, text: str) -> Element:
    """Return a word or two on a coloured ground."""
    return element("span", sign(tone) + text, class_=f"chip {tone}")


def table(titles: Sequence[Child], rows: Sequence[Element], kind: str) -> Element:
    """Return a table that is scrolled by itself where it is too wide."""
    head = element("thead", element("tr", *(element("th", title, scope="col") for title in titles)))
    return element("div", element("table", head, element("tbody", *rows), class_=kind), class_="scrolled")


def listed(details: Mapping[str, Any]) -> str:
    """Write what an event tells in one line; what is empty is left out."""
    parts = (f"{name}: {_shown(value)}" for name, value in details.items() if value not in (None, "", [], {}))
    text = ", ".join(parts)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _said(each: tuple[str, Said]) -> Element:
    judge, said = each
    tone = VERDICTS.get(said.verdict, "unsure")
    return element(
        "details",
        element("summary", chip(tone, f"{judge}: {said.verdict}"), " ", element("small", said.reason)),
        _figures(said.figures),
    )


def _figures(figures: Mapping[str, float]) -> Element | None:
    """Return a judge's figures: of `name.part` the name has a column and the part a row; others have a row alone."""
    if not figures:
        return None
    dotted = {name.rpartition(".")[0] for name in figures if "." in name}
    parts: dict[str, dict[str, float]] = {}
    for name, value in figures.items():
        column, _, part = (name, "", "value") if name in dotted else name.rpartition(".")
        parts.setdefault(part, {})[column] = value
    columns = list(dict.fromkeys(column for row in parts.values() for column in row if column))
    rows = []
    for part, row in parts.items():
        if "" in row:
            cells = [element("td", plain(row[""]), colspan=max(1, len(columns)))]
        else:
            cells = [element("td", plain(row[column]) if column in row else "") for column in columns]
        rows.append(element("tr", element("th", part.replace("_", " "), scope="row"), *cells))
    return table(["", *columns], rows, "figures")


def _title(version: Version, stable: Version) -> str:
    return f"{version} (stable)" if version == stable else f"{version} (canary)"


def _cell(metric: Metric, version: Version) -> Element:
    figure = metric.figures[version]
    value = cell(Figure(figure.value))
    text = cell(figure)
    return element("span", value, element("small", text.removeprefix(value)) if text != value else None)


def _moved(entities: int | None, stable: str) -> Element | None:
    return element("p", f"{entities:,} entities went back to {stable}.") if entities else None


def wall(seconds: float) -> str:
    """Return the local time that so many seconds since 1970 are, to the second."""
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(" ", "seconds")[:19]
    except (OverflowError, ValueError, OSError):
        return "?"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return json.dumps(value)
