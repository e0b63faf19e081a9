"""Evidence that a canary fails more often than stable, which may be looked at after every tick.

If both versions fail alike, assignment being random, then each next entity to fail for the first time is the canary's
with a probability w that is known: its part of all that have not failed yet. Labels are drawn without replacement,
whatever each entity's own error rate. `Contest.log_chance` is the logarithm of the probability that this gives to what
happened. Against it stands a mixture over all other probabilities, by Beta(a, b): of k first failures s fell on the
canary, so the e-value is

    e = B(a + s, b + k - s) / B(a, b) / exp(log_chance)

(Lindon and Malek, "Anytime-valid inference for multinomial count data", 2022, arXiv 2011.03567; for deployments:
Lindon, Sanden and Shirikian, "Rapid regression detection in software deployments through sequential testing", 2022,
arXiv 2205.14762). If both fail alike it is a martingale, and falls once one side has nobody left to fail: that it ever
reaches 1 / alpha has the probability alpha at most (Ville's inequality), so it may be looked at as often as one likes.
Several failures in one tick are drawn as by a hypergeometric distribution, where w * w * ... counts them as by a
binomial one; that is the more spread (Hoeffding, 1963), and e is convex in the count, so that e is too small there if
anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from grove_core.base.comparison import TICKS, Comparison, Contest, Judgement, Verdict

A: Final = 0.5
B: Final = 0.5
"""Jeffreys' prior. It needs no w, so that nothing is lost when w changes, and nothing is looked up beforehand. At every
share up to one half it is as quick as a mixture over odds above 1 alone; docs/judging.md has what was measured."""
ALTERNATIVES: Final = 8
"""How many error rates above the limit there are for a canary without a stable beside it."""
MOST: Final = 300.0
"""An e-value of more powers of ten than this, or of less, is reported as this."""
_LOG_PRIOR = math.lgamma(A) + math.lgamma(B) - math.lgamma(A + B)
_TEN = math.log(10.0)


def log_evidence(contest: Contest) -> float:
    """Return the natural logarithm of the e-value against "both fail alike"."""
    s, rest = contest.canary_failures, contest.stable_failures
    mixture = math.lgamma(A + s) + math.lgamma(B + rest) - math.lgamma(A + B + s + rest) - _LOG_PRIOR
    return mixture - contest.log_chance


class Evidence:
    """Fails a canary once chance is no explanation for what fell on it, and passes one that was seen enough.

    It may be asked after every tick: over a whole rollout, a canary that is no worse than stable fails with the
    probability `alpha` at most. An entity counts once, with its first failure. To fail needs no least number: a few
    failures are little evidence by themselves. To pass does: no failure of a few calls shows nothing.

    Where stable has no part (all entities are in the canary), and for ticks once the canary has more entities than
    stable, whose ticks are then quicker by nature, the canary is held against `limit` instead: a mixture of likelihood
    ratios for error rates above it.

    Args:
        alpha: how likely it is at most, in one rollout, that it fails a canary that is no worse, above 0 and below 1.
            Shared out alike over the comparisons of the rollout, and the contests of each.
        least: so many trials of each kind are needed to pass. To show that a rate is below 5%, with 95% confidence,
            takes 59 trials of which none failed.
        limit: the error rate that is borne where there is nothing to compare with, above 0 and below 1.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(self, alpha: float = 0.05, least: int = 60, limit: float = 0.05) -> None:
        for name, value in (("alpha", alpha), ("limit", limit)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
                raise ValueError(f"{name} must be above 0 and below 1, not {value!r}")
        if isinstance(least, bool) or not isinstance(least, int) or least < 1:
            raise ValueError(f"least must be a whole number of at least 1, not {least!r}")
        self._alpha = alpha
        self._least = least
        self._limit = limit
        self._rates = tuple(_ratios(limit))

    def judge(self, comparison: Comparison) -> Judgement:
        """Return `FAIL` where one contest has the evidence, `PASS` where each has its trials, else `INCONCLUSIVE`."""
        contests = comparison.contests
        if not contests:
            return Judgement(Verdict.INCONCLUSIVE, "there is no contest to judge by")
        needed = math.log(comparison.parts * len(contests) / self._alpha)
        figures = {"needed_log10_e": needed / _TEN}
        worse: list[str] = []
        missing: list[str] = []
        for name, contest in contests.items():
            alone = contest.stable_trials == 0 or (
                name == TICKS and comparison.canary.entities > comparison.stable.entities
            )
            found = self._above_limit(contest) if alone else log_evidence(contest)
            canary, stable = _rate(contest.canary_failures, contest.canary_trials), 0.0
            figures[f"{name}.log10_e"] = max(-MOST, min(MOST, found / _TEN))
            figures[f"{name}.canary_trials"] = contest.canary_trials
            figures[f"{name}.canary_failures"] = contest.canary_failures
            figures[f"{name}.canary_rate"] = canary
            if contest.stable_trials:
                stable = _rate(contest.stable_failures, contest.stable_trials)
                figures[f"{name}.stable_trials"] = contest.stable_trials
                figures[f"{name}.stable_failures"] = contest.stable_failures
                figures[f"{name}.stable_rate"] = stable
            if found >= needed and canary > (self._limit if alone else stable):
                worse.append(self._worse(name, contest, found, needed, alone))
            elif name != TICKS and contest.canary_trials < self._least:
                missing.append(f"{contest.canary_trials} of {self._least} trials of {name}")
        if worse:
            return Judgement(Verdict.FAIL, "; ".join(worse), figures)
        if missing:
            return Judgement(Verdict.INCONCLUSIVE, f"so far there are only {', '.join(missing)}", figures)
        return Judgement(Verdict.PASS, f"nothing shows that it is worse: {_listed(comparison)}", figures)

    def _above_limit(self, contest: Contest) -> float:
        """Return the natural logarithm of the e-value against "its error rate is `limit` at most"."""
        failures, good = contest.canary_failures, contest.canary_trials - contest.canary_failures
        terms = [failures * failure + good * success for failure, success in self._rates]
        highest = max(terms)
        return highest + math.log(sum(math.exp(term - highest) for term in terms) / len(terms))

    def _worse(self, name: str, contest: Contest, found: float, needed: float, alone: bool) -> str:
        canary = f"{contest.canary_failures} of its {contest.canary_trials} trials"
        beside = (
            f"where {100 * self._limit:.3g}% are borne"
            if alone
            else f"beside {contest.stable_failures} of stable's {contest.stable_trials}"
        )
        return (
            f"{name}: {canary} failed, {beside}; evidence of {_power(found)} to 1 that this is no chance, "
            f"where {_power(needed)} is enough"
        )


def _ratios(limit: float) -> Iterator[tuple[float, float]]:
    """Yield, for each of some rates above the limit, the log likelihood ratios of a failure and of a success.

    Their odds are those of the limit times e^0.5, e^1.25, e^2 ...: 5% becomes 8%, 16%, 28% ...
    """
    for step in range(ALTERNATIVES):
        odds = limit / (1 - limit) * math.exp(0.5 + 0.75 * step)
        # Not by way of 1 - rate, which is 0 where the rate is close to 1.
        yield math.log(odds / (1 + odds) / limit), -math.log1p(odds) - math.log(1 - limit)


def _rate(failures: int, trials: int) -> float:
    return failures / trials if trials else 0.0


def _power(logarithm: float) -> str:
    tens = logarithm / _TEN
    return f"{10**tens:,.0f}" if tens < 6 else f"10^{tens:.0f}"


def _listed(comparison: Comparison) -> str:
    return "; ".join(
        f"{name} {each.canary_failures} of {each.canary_trials}"
        + (f", stable's {each.stable_failures} of {each.stable_trials}" if each.stable_trials else "")
        for name, each in comparison.contests.items()
    )
