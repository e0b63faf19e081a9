"""Simulated: a judge that goes by evidence is seldom wrong, and finds what is bad; so the tables can be believed."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from packaging.version import Version

from benchmarks.judges.__main__ import BEGIN, END, main
from benchmarks.judges.outcomes import outcome
from benchmarks.judges.priors import MIXTURES
from benchmarks.judges.rules import ALPHA, RULES, Rule, first_failures, u_test
from benchmarks.judges.scenes import Counted, Scene, simulate
from grove_core.base.comparison import Comparison, Contest, Observed, Verdict
from grove_core.base.histogram import Histogram
from grove_core.judging.evidence import Evidence

RUNS = 200
EVIDENCE, _, ALL_CALLS, _, LATEST, _, _ = RULES


def failed(rule: Rule, scene: Scene, runs: int = RUNS) -> float:
    return outcome(simulate(scene, runs, 7), rule).failed


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("rate", [0.001, 0.02])
@pytest.mark.parametrize("entities", [100, 500])
def test_at_most_alpha_of_healthy_canaries_fail(own: bool, rate: float, entities: int) -> None:
    assert failed(EVIDENCE, Scene(rate, rate, own, entities, ticks=400)) <= ALPHA


@pytest.mark.parametrize(
    ("scene", "least"),
    [
        (Scene(0.01, 0.1, False, 100, ticks=120), 0.98),
        (Scene(0.01, 0.05, False, 1000, ticks=120), 0.98),
        (Scene(0.01, 0.05, True, 1000, ticks=120), 0.9),
        (Scene(0.01, 0.02, False, 1000, ticks=400), 0.95),
        (Scene(0.0001, 0.001, True, 1000, ticks=600), 0.95),
    ],
)
def test_bad_canaries_are_found(scene: Scene, least: float) -> None:
    assert failed(EVIDENCE, scene, 100) >= least


def test_other_rules_fail_healthy_canaries() -> None:
    scene = Scene(0.02, 0.02, True, 100, ticks=600)
    assert failed(LATEST, scene) > 0.5
    assert failed(ALL_CALLS, scene) > 2 * ALPHA, "calls of one entity depend on each other"
    assert failed(EVIDENCE, scene) <= ALPHA


def test_a_seed_gives_the_same_runs_and_they_have_the_rates_they_are_to_have() -> None:
    scene = Scene(0.01, 0.05, True, 200, ticks=100)
    counted, again = simulate(scene, 60, 3), simulate(scene, 60, 3)
    assert (counted.canary == again.canary).all() and (counted.stable_firsts == again.stable_firsts).all()
    assert counted.canary.shape == (60, 100)
    assert counted.canary.sum() / (60 * 100 * 20) == pytest.approx(0.05, rel=0.2)
    assert counted.stable.sum() / (60 * 100 * 180) == pytest.approx(0.01, rel=0.1)
    for every, firsts, most in (
        (counted.canary, counted.canary_firsts, 20),
        (counted.stable, counted.stable_firsts, 180),
    ):
        assert (firsts <= every).all()
        assert (firsts.sum(axis=1) <= most).all()
        assert (firsts[:, 0] == every[:, 0]).all()


def judged(contest: Contest) -> Verdict:
    seen = Observed(Version("2.0.0"), 10, 100, 0, 1000, 0, Histogram(), None, {})
    return Evidence(least=1).judge(Comparison("ledger", seen, seen, 1.0, {"errors": contest})).verdict


def test_the_rule_that_is_simulated_is_the_judge() -> None:
    scene = Scene(0.01, 0.04, False, 100, ticks=60)
    counted = simulate(scene, 30, 5)
    ours, theirs, chance = first_failures(counted)
    flags, judge = EVIDENCE.fails(counted), np.zeros(ours.shape, np.bool_)
    for run, tick in np.ndindex(*ours.shape):
        here = int(ours[run, tick]), int(theirs[run, tick])
        contest = Contest(10 * (tick + 1), here[0], 90 * (tick + 1), here[1], float(chance[run, tick]))
        judge[run, tick] = judged(contest) is Verdict.FAIL
    assert (flags == judge).all()
    assert flags.any() and not flags.all()


def test_failures_in_one_tick_share_the_chance_of_its_beginning() -> None:
    def row(*counts: int) -> NDArray[np.int64]:
        return np.array([counts])

    counted = Counted(Scene(0.1, 0.1, False, 10, ticks=3), row(1, 0, 0), row(2, 0, 1), row(1, 0, 0), row(2, 0, 1))
    ours, theirs, chance = first_failures(counted)
    assert (ours.tolist(), theirs.tolist()) == ([[1, 1, 1]], [[2, 2, 3]])
    once = math.log(0.1) + 2 * math.log(0.9)
    assert chance[0].tolist() == pytest.approx([once, once, once], abs=1e-12), "of the canary nobody is left"


def test_the_u_test_counts_pairs_and_ties() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = generator.integers(0, 6, (5, 20)), generator.integers(0, 5, (5, 30))
    for row, (mine, others) in enumerate(zip(ours, theirs, strict=True)):
        u = sum((a > b) + 0.5 * (a == b) for a, b in itertools.product(mine.tolist(), others.tolist()))
        _, ties = np.unique(np.concatenate([mine, others]), return_counts=True)
        variance = 20 * 30 / 12 * (51 - (ties**3 - ties).sum() / (50 * 49))
        assert u_test(ours, theirs)[row] == pytest.approx((u - 300) / math.sqrt(variance))
    assert u_test(np.ones((1, 4), np.int64), np.ones((1, 4), np.int64)).tolist() == [0.0]


@pytest.mark.parametrize("name", MIXTURES)
def test_every_mixture_that_is_compared_is_a_distribution(name: str) -> None:
    """Over all outcomes of some failures their probabilities are 1 in all."""
    failures, share = 12, 0.3
    ours = np.arange(failures + 1)
    orders = np.array([math.comb(failures, each) for each in ours])
    assert float((np.exp(MIXTURES[name](ours, failures - ours, share)) * orders).sum()) == pytest.approx(1.0)


def test_tables_go_into_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nformerly\n{END}\nafter\n", "utf-8")
    assert main(["--runs", "4", "--docs", str(page)]) == 0
    text = page.read_text("utf-8")
    assert text.startswith(f"before\n{BEGIN}\n\n4 runs each") and text.endswith(f"{END}\nafter\n")
    assert "formerly" not in text
    assert all(rule.name in text for rule in RULES)
    assert "False alarms" in capsys.readouterr().out


def test_the_page_has_the_tables_of_this_benchmark() -> None:
    text = (Path(__file__).parents[2] / "docs" / "judging.md").read_text("utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert all(f"| {rule.name} |" in text for rule in RULES)
