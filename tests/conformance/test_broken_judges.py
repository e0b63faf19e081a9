"""Each promise of a judge has one that breaks it, and is caught."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from grove_core.base.comparison import Judgement, Verdict
from grove_core.testing import JudgeConformance

from .broken import caught, promises_of

JUDGES = "test_it_judges_any_comparison_and_says_why"
FIGURES = "test_its_evidence_is_finite_figures_by_name"
SAME = "test_the_same_comparison_gets_the_same_judgement"
CHANGES = "test_it_changes_nothing"
PASS = Verdict.PASS
ASKED = itertools.count()


def clears(comparison: Any) -> Judgement:
    comparison.canary.durations.counts[:] = 0
    return Judgement(PASS, "well")


BROKEN: list[tuple[str, Callable[[Any], Any], str]] = [
    (JUDGES, lambda shown: None, "None is no judgement"),
    (JUDGES, lambda shown: PASS, "is no judgement"),
    (JUDGES, lambda shown: Judgement("pass", "well"), "'pass' is no verdict"),  # type: ignore[arg-type]
    (JUDGES, lambda shown: Judgement(PASS, " "), "' ' is no reason"),
    (JUDGES, lambda shown: Judgement(PASS, f"{shown.canary.errors / shown.canary.calls}"), "division by zero"),
    (JUDGES, lambda shown: Judgement(PASS, f"{shown.canary.durations.quantile(0.5):.3f} ms"), "NoneType"),
    (JUDGES, lambda shown: Judgement(PASS, f"{shown.contests['joy']}"), "joy"),
    (FIGURES, lambda shown: Judgement(PASS, "well", {"e": math.inf}), "e is inf, which is no finite"),
    (FIGURES, lambda shown: Judgement(PASS, "well", {"memory": shown.canary.memory_bytes}), "memory is None"),
    (FIGURES, lambda shown: Judgement(PASS, "well", {"better": True}), "better is True"),
    (FIGURES, lambda shown: Judgement(PASS, "well", {"": 1.0}), "'' is no name"),
    (SAME, lambda shown: Judgement(PASS, f"asked {next(ASKED)} times"), "one after the other"),
    (CHANGES, clears, "it wrote into"),
]


@pytest.mark.parametrize(("test", "judge", "why"), BROKEN)
def test_a_broken_judge_is_caught(test: str, judge: Any, why: str) -> None:
    class Judging:
        def judge(self, comparison: Any) -> Any:
            return judge(comparison)

    caught(JudgeConformance, lambda self: Judging(), test, why)


def test_one_that_remembers_is_caught() -> None:
    class Remembering:
        before: Any = None

        def judge(self, comparison: Any) -> Judgement:
            before, self.before = self.before, comparison.module
            return Judgement(PASS, f"{before} came before")

    caught(JudgeConformance, lambda self: Remembering(), SAME, "one after the other")


def test_every_promise_is_broken_by_one() -> None:
    assert {test for test, _, _ in BROKEN} == promises_of(JudgeConformance)
