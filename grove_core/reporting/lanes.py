"""The course of a rollout as lanes of blocks: where it was, and what each judge said meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from grove_core.base.comparison import Verdict
from grove_core.base.events import EventKind
from grove_core.base.rollouts import RolloutState
from grove_core.reporting.charts import Timeline, labels, time_ticks
from grove_core.reporting.elements import element
from grove_core.reporting.history import Story
from grove_core.reporting.recorded import Decision
from grove_core.reporting.series import Figures

TONES: Final = {
    RolloutState.RUNNING: "running",
    RolloutState.WAITING: "waiting",
    RolloutState.PAUSED: "unsure",
    RolloutState.PROMOTED: "good",
    RolloutState.FAILED: "bad",
    RolloutState.ABORTED: "bad",
    RolloutState.UNDONE: "bad",
}
VERDICTS: Final = {Verdict.PASS.value: "good", Verdict.INCONCLUSIVE.value: "unsure", Verdict.FAIL.value: "bad"}
SIGNS: Final = {"good": "✓ ", "bad": "✗ ", "unsure": "? "}
"""So that nothing is told by a colour alone."""


@dataclass(frozen=True)
class Block:
    """From when to when something was so."""

    begins: float
    ends: float
    text: str
    tone: str


def course(story: Story, judges: Sequence[Figures], timeline: Timeline) -> Element:
    """Return the lanes of a rollout, above each other."""
    lanes = [("rollout", list(_states(story, timeline.high)))]
    lanes += [(each.judge, list(_verdicts(each, story))) for each in judges]
    return element(
        "figure",
        element(
            "figcaption",
            element("h3", "Its course"),
            element("p", "where it was, and what each judge said; the numbers are those of the decisions below"),
        ),
        element(
            "div",
            *(
                element(
                    "div",
                    element("span", name, class_="name"),
                    *(_block(each, timeline) for each in blocks),
                    class_="lane",
                )
                for name, blocks in lanes
            ),
            *labels(timeline),
            *time_ticks(timeline),
            class_="plot lanes",
        ),
        class_="whole",
    )


def short(decision: Decision) -> str:
    """Return a decision in a word or two."""
    told = decision.told
    if decision.kind is EventKind.GATE_OPENED:
        return f"gate {told.gate} opened"
    if decision.kind in (EventKind.ROLLOUT_STARTED, EventKind.ROLLOUT_STEP):
        step = f"{100 * told.weight:.4g}%" if told.weight is not None else told.what or f"step {told.step}"
        return f"again: {step}" if decision.kind is EventKind.ROLLOUT_STARTED and told.attempt > 1 else step
    if decision.kind is EventKind.ROLLOUT_REBASED:
        return f"against {told.stable}"
    return decision.kind.value.removeprefix("rollout_")


def sign(tone: str) -> str:
    """Return what stands before a text of this tone."""
    return SIGNS.get(tone, "")


def _states(story: Story, high: float) -> Iterator[Block]:
    decisions = [each for each in story.decisions if each.kind is not EventKind.GATE_OPENED]
    step = ""
    for each, after in zip(decisions, [*decisions[1:], None], strict=True):
        if each.kind in (EventKind.ROLLOUT_STARTED, EventKind.ROLLOUT_STEP):
            step = short(each)
        state = each.told.state
        text = step if state in (RolloutState.RUNNING, RolloutState.WAITING) and step else state.value
        yield Block(each.at, high if after is None else after.at, text, TONES[state])


def _verdicts(figures: Figures, story: Story) -> Iterator[Block]:
    """Yield from when to when a judge said the same; once a rollout has ended nobody is asked until it is retried."""
    stops = [each.at for each in story.decisions if each.told.state.ended] + [story.ends]
    at = figures.x.tolist()
    begins = 0
    for index in range(1, len(at) + 1):
        stop = next((each for each in stops if each >= at[index - 1]), at[index - 1])
        goes_on = index < len(at) and at[index] <= stop
        if goes_on and figures.verdicts[index] == figures.verdicts[begins]:
            continue
        verdict = figures.verdicts[begins]
        yield Block(at[begins], at[index] if goes_on else stop, verdict, VERDICTS.get(verdict, "unsure"))
        begins = index


def _block(block: Block, timeline: Timeline) -> Element:
    left, right = timeline.place(block.begins), timeline.place(block.ends)
    times = f"{block.begins - timeline.zero:,.1f} to {block.ends - timeline.zero:,.1f} s"
    return element(
        "span",
        sign(block.tone) + block.text,
        class_=f"block {block.tone}",
        style=f"left:{100 * left:.2f}%;width:{100 * max(0.0, right - left):.2f}%",
        title=f"{block.text}, {times}",
    )
