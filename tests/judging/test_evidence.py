"""The e-value is one, whatever order and however many at a time; what it takes to fail and to pass."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.base.comparison import Comparison, Contest, Verdict
from grove_core.judging.evidence import Evidence, log_evidence

from .made import alone, comparison, contest, observed

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE


def judged(contests: dict[str, Contest], parts: int = 1, **options: Any) -> Verdict:
    return Evidence(**options).judge(comparison(contests, parts=parts)).verdict


def e_value(canary: int, stable: int, chance: Fraction) -> float:
    return math.exp(log_evidence(Contest(1, canary, 1, stable, math.log(chance))))


@pytest.mark.parametrize(("canaries", "others"), [(1, 1), (1, 9), (3, 9), (5, 5), (8, 2)])
def test_the_next_failure_leaves_the_expected_evidence_as_it_is(canaries: int, others: int) -> None:
    """Over every order in which all entities may fail for the first time, one after the other: a martingale.

    Once all of one side have failed the others must follow, which is no evidence: from there on it can only fall.
    """
    reached: dict[tuple[int, int], Fraction] = {(0, 0): Fraction(1)}
    for failed in range(1, canaries + others + 1):
        expected = 0.0
        after: dict[tuple[int, int], Fraction] = {}
        for (canary, stable), chance in reached.items():
            left, right = canaries - canary, others - stable
            for more, part in (((canary + 1, stable), left), ((canary, stable + 1), right)):
                if part:
                    after[more] = after.get(more, Fraction(0)) + chance * Fraction(part, left + right)
        # `chance` of a state, over the number of orders that lead to it, is the chance of any one of them.
        for (canary, stable), chance in after.items():
            one = chance / math.comb(canary + stable, canary)
            expected += float(chance) * e_value(canary, stable, one)
        assert expected <= 1 + 1e-9
        assert failed > min(canaries, others) or expected == pytest.approx(1.0)
        reached = after


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 9), st.integers(1, 9), st.data())
def test_several_at_once_are_no_more_evidence_than_one_by_one(
    before_canary: int, before_stable: int, canaries: int, others: int, data: st.DataObject
) -> None:
    """Several entities that fail in one tick are drawn without replacement, and counted as if with it."""
    several = data.draw(st.integers(1, canaries + others))
    w = canaries / (canaries + others)
    had = Contest(1, before_canary, 1, before_stable, -3.0)
    expected = 0.0
    for s in range(max(0, several - others), min(canaries, several) + 1):
        chance = math.comb(canaries, s) * math.comb(others, several - s) / math.comb(canaries + others, several)
        step = (s * math.log(w) if s else 0.0) + (several - s) * math.log1p(-w)
        more = Contest(1, before_canary + s, 1, before_stable + several - s, had.log_chance + step)
        expected += chance * math.exp(log_evidence(more) - log_evidence(had))
    assert expected <= 1 + 1e-9


@pytest.mark.parametrize(
    ("canary", "stable", "verdict"),
    [
        (0, 0, PASS),
        (1, 0, PASS),
        (2, 0, FAIL),  # one in ten, twice
        (3, 9, PASS),
        (10, 10, FAIL),
        (100, 900, PASS),
        (200, 900, FAIL),
        (0, 900, PASS),  # there is as much evidence, but for the opposite
    ],
)
def test_what_fell_on_the_canary_against_what_chance_would_have(canary: int, stable: int, verdict: Verdict) -> None:
    assert judged({"errors": contest(canary, stable)}) is verdict


def test_alpha_is_shared_out_over_comparisons_and_contests() -> None:
    errors, ticks = contest(2, 0), contest(0, 0, w=0.5)
    assert judged({"errors": errors}) is FAIL
    assert judged({"errors": errors}, alpha=0.02) is PASS
    assert judged({"errors": errors}, parts=4) is PASS
    assert judged({"errors": errors, "ticks": ticks}) is PASS
    shown = Evidence(alpha=0.1).judge(comparison({"errors": errors, "ticks": ticks}, parts=5))
    assert shown.evidence["needed_log10_e"] == pytest.approx(2.0)
    assert shown.evidence["errors.log10_e"] == pytest.approx(math.log10(0.375 / 0.01))


def test_to_fail_takes_no_least_number_and_to_pass_does() -> None:
    few = {"errors": contest(0, 0, trials=590), "fun": contest(0, 0, trials=70)}
    told = Evidence().judge(comparison(few))
    assert told.verdict is INCONCLUSIVE
    assert told.reason == "so far there are only 59 of 60 trials of errors, 7 of 60 trials of fun"
    assert judged({"errors": contest(0, 0, trials=600)}) is PASS
    assert judged({"errors": contest(5, 0, trials=50)}) is FAIL
    assert judged({"errors": contest(0, 0), "fun": contest(0, 0, trials=0)}) is INCONCLUSIVE
    assert judged({}) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("failures", "trials", "verdict"),
    [
        (0, 59, INCONCLUSIVE),
        (0, 60, PASS),
        (3, 100, PASS),
        (5, 100, PASS),
        (30, 100, FAIL),
        (3, 3, FAIL),
        (1, 1, INCONCLUSIVE),
    ],
)
def test_without_stable_the_limit_is_held(failures: int, trials: int, verdict: Verdict) -> None:
    assert judged({"errors": alone(failures, trials)}) is verdict


@pytest.mark.parametrize("limit", [1e-300, 1e-9, 1 - 1e-9, 1 - 2**-53])
def test_any_limit_can_be_held(limit: float) -> None:
    told = Evidence(limit=limit).judge(comparison({"errors": alone(30, 100)}))
    assert told.verdict is (FAIL if limit < 0.5 else PASS)
    assert all(math.isfinite(figure) for figure in told.evidence.values())


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_the_evidence_against_the_limit_is_no_more_than_it_may_be(rate: float) -> None:
    """The expected e-value after any number of trials is 1 at the limit, and less below."""
    for trials in (1, 7, 40):
        expected = 0.0
        for failures in range(trials + 1):
            chance = math.comb(trials, failures) * rate**failures * (1 - rate) ** (trials - failures)
            shown = Evidence(limit=0.05).judge(comparison({"errors": alone(failures, trials)}))
            expected += chance * 10 ** shown.evidence["errors.log10_e"]
        assert expected == pytest.approx(1.0) if rate == 0.05 else expected < 0.97


def test_a_canary_with_more_entities_is_not_blamed_for_longer_ticks() -> None:
    slow = {"errors": contest(0, 0, w=0.9), "ticks": replace(contest(40, 0, w=0.5), canary_trials=1800)}
    small, large = observed("2.0.0", 100), observed("1.0.0", 900)
    assert Evidence().judge(comparison(slow, small, large)).verdict is FAIL
    assert Evidence().judge(comparison(slow, large, small)).verdict is PASS
    slow["ticks"] = replace(slow["ticks"], canary_failures=300)
    told = Evidence().judge(comparison(slow, large, small))
    assert told.verdict is FAIL
    assert "300 of its 1800 trials failed, where 5% are borne" in told.reason


def test_the_reason_is_a_sentence_with_its_figures() -> None:
    told = Evidence().judge(comparison({"errors": contest(9, 3)}))
    assert told.reason.startswith("errors: 9 of its 1000 trials failed, beside 3 of stable's 9000; evidence of ")
    assert told.reason.endswith(" to 1 that this is no chance, where 20 is enough")
    told = Evidence().judge(comparison({"errors": contest(3, 30)}))
    assert told.reason == "nothing shows that it is worse: errors 3 of 1000, stable's 30 of 9000"


counts = st.integers(0, 10**7)


@given(counts, counts, st.floats(0.001, 0.999), st.integers(1, 10**9), st.integers(1, 100))
def test_its_figures_are_finite(canary: int, stable: int, w: float, trials: int, parts: int) -> None:
    shown: Comparison = comparison(
        {"errors": contest(canary, stable, w=w, trials=trials + canary + stable)}, parts=parts
    )
    told = Evidence().judge(shown)
    assert all(math.isfinite(figure) for figure in told.evidence.values())
    assert told == Evidence().judge(shown)


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 0}, {"alpha": 1}, {"alpha": math.nan}, {"alpha": True}, {"alpha": "5%"},
        {"least": 0}, {"least": 1.5}, {"least": True}, {"limit": 0.0}, {"limit": 1.0}, {"limit": None},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Evidence(**options)
