"""What a judge promises, as tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from packaging.version import Version

from grove_core.base.comparison import ERRORS, TICKS, Comparison, Contest, Judgement, Observed, Summary, Verdict
from grove_core.base.histogram import Histogram
from grove_core.parts.contracts import Judge
from grove_core.testing.examples import MODULE, VERSIONS, same_for_all

counts = st.sampled_from([0, 1, 3, 59, 1000, 10**9])
sizes = st.sampled_from([0, 1, 2, 60, 1000])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """Draw what a judge may be shown: of a canary that did nothing yet, too, or one with nobody beside it."""
    first, second = draw(st.lists(st.sampled_from(VERSIONS), min_size=2, max_size=2, unique=True))
    names = draw(st.lists(st.sampled_from(["joy", "revenue"]), unique=True))
    canary, stable = _observed(draw, second, names), _observed(draw, first, names)
    contests = {name: _contest(draw) for name in (ERRORS, TICKS, *draw(st.sampled_from([(), tuple(names)])))}
    seconds, parts = draw(st.sampled_from([0.0, 1 / 60, 30.0, 1e6])), draw(st.integers(1, 10))
    return Comparison(MODULE, canary, stable, seconds, contests, parts)


def _observed(draw: st.DrawFn, version: Version, names: Sequence[str]) -> Observed:
    ticks, lost, entities = draw(counts), draw(st.integers(0, 3)), draw(counts)
    chance = np.random.default_rng(draw(seeds))
    calls = (ticks + lost) * entities
    return Observed(
        version,
        entities,
        ticks,
        lost,
        calls,
        draw(st.integers(0, calls)),
        Histogram.of(chance.lognormal(0.0, 3.0, draw(sizes))),
        draw(st.none() | st.integers(0, 1 << 40)),
        {name: _summary(chance.normal(0.0, draw(st.sampled_from([0.0, 1.0, 1e9])), draw(sizes))) for name in names},
    )


def _summary(values: NDArray[np.float64]) -> Summary:
    return Summary(len(values), float(values.sum()), float(values @ values), Histogram.of(values))


def _contest(draw: st.DrawFn) -> Contest:
    canary, stable = draw(counts), draw(counts)
    if draw(st.booleans()):
        return Contest(canary, draw(st.integers(0, canary)), 0, 0, 0.0)
    w = draw(st.floats(0.001, 0.999))
    failed, others = draw(st.integers(0, canary)), draw(st.integers(0, stable))
    return Contest(canary, failed, stable, others, failed * math.log(w) + others * math.log1p(-w))


def _counts(shown: Comparison) -> list[bytes]:
    sides = (shown.canary, shown.stable)
    spreads = [summary.spread for side in sides for summary in side.values.values()]
    return [histogram.counts.tobytes() for histogram in (*(side.durations for side in sides), *spreads)]


class JudgeConformance:
    """Holds a judge against its contract, `grove_core.parts.contracts.Judge`."""

    def make(self) -> Judge:
        """Return a new judge, with the options it is to be tested with."""
        raise NotImplementedError("let `make` return the judge to be tested")

    @given(st.lists(comparisons(), min_size=1, max_size=3))
    @same_for_all
    def test_it_judges_any_comparison_and_says_why(self, shown: list[Comparison]) -> None:
        """For any comparison, one after the other, it answers a `Judgement` with a sentence; it does not raise."""
        judge = self.make()
        for each in shown:
            answer: object = judge.judge(each)
            assert isinstance(answer, Judgement), f"{answer!r} is no judgement"
            assert isinstance(answer.verdict, Verdict), f"{answer.verdict!r} is no verdict"
            reason: object = answer.reason
            assert isinstance(reason, str) and reason.strip(), f"{reason!r} is no reason"

    @given(comparisons())
    @same_for_all
    def test_its_evidence_is_finite_figures_by_name(self, shown: Comparison) -> None:
        """What it rests on can be written down anywhere: names, each with a number that is one."""
        for name, figure in self.make().judge(shown).evidence.items():
            assert isinstance(name, str) and name, f"{name!r} is no name"
            number = isinstance(figure, int | float) and not isinstance(figure, bool)
            assert number and math.isfinite(figure), f"{name} is {figure!r}, which is no finite number"

    @given(comparisons(), st.lists(comparisons(), max_size=3))
    @same_for_all
    def test_the_same_comparison_gets_the_same_judgement(self, shown: Comparison, others: list[Comparison]) -> None:
        """It is pure: how often it was asked, and what about, changes nothing, and so a restart does not either."""
        judge, fresh = self.make(), self.make()
        for each in others:
            judge.judge(each)
        answers = [judge.judge(shown), judge.judge(shown), fresh.judge(shown)]
        assert answers[0] == answers[1] == answers[2], f"it answers {answers}, one after the other"

    @given(comparisons())
    @same_for_all
    def test_it_changes_nothing(self, shown: Comparison) -> None:
        """Arrays that it is shown may be the engine's own."""
        before = _counts(shown)
        self.make().judge(shown)
        assert _counts(shown) == before, "it wrote into what it was shown"
