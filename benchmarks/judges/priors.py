"""Which mixture finds a bad canary with the fewest failures: why the judge has the prior that it has."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import Table

MOST = 1500
"""So many failures are looked at."""
NEEDED = math.log(160)
"""What a rollout of four steps with two contests needs at alpha 0.05."""
SHARES = (0.01, 0.1, 0.5, 0.9)
ODDS = (2, 5, 10, 50)
"""So many times as likely is a failure to fall on the canary as it would be by its share."""

Mixture = Callable[[NDArray[np.int64], NDArray[np.int64], float], NDArray[np.float64]]


def beta(a: float, b: float) -> Mixture:
    """Return the log probability of one order of failures, over Beta(a, b)."""
    return lambda ours, theirs, share: (
        _gamma(a)[ours] + _gamma(b)[theirs] - _gamma(a + b)[ours + theirs]  # each less its value at 0
    )


def centred(strength: float) -> Mixture:
    """Return the same over a Beta around the canary's share, as savvi has it by default, with a strength of 100."""
    return lambda ours, theirs, share: beta(strength * share, strength * (1 - share))(ours, theirs, share)


def one_sided(ours: NDArray[np.int64], theirs: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """Return the same over eight odds above those of the share."""
    odds = np.exp(np.linspace(0.5, 5.75, 8))
    rates = odds * share / (1 - share + odds * share)
    terms = [ours * math.log(rate) + theirs * math.log1p(-rate) for rate in rates]
    mixed: NDArray[np.float64] = np.logaddexp.reduce(terms) - math.log(len(terms))
    return mixed


MIXTURES: dict[str, Mixture] = {
    "Beta(1/2, 1/2)": beta(0.5, 0.5),
    "Beta(1, 1)": beta(1.0, 1.0),
    "around w, strength 1": centred(1.0),
    "around w, strength 10": centred(10.0),
    "around w, strength 100": centred(100.0),
    "odds above 1 only": one_sided,
}


def table(runs: int, seed: int) -> Table:
    """Simulate canaries that are as many times as bad, and return how many failures it takes in the median."""
    titles = ("canary's share w", "odds", *MIXTURES)
    return Table("First failures until the evidence is 160 to 1, medians", titles, [*_rows(runs, seed)])


def _rows(runs: int, seed: int) -> Iterator[tuple[str, ...]]:
    generator = np.random.default_rng(seed)
    for share in SHARES:
        for odds in ODDS:
            bad = odds * share / (1 - share + odds * share)
            ours = np.cumsum(generator.random((runs, MOST)) < bad, axis=1, dtype=np.int64)
            theirs = np.arange(1, MOST + 1) - ours
            chance = ours * math.log(share) + theirs * math.log1p(-share)
            medians = [_median(mixture(ours, theirs, share) - chance) for mixture in MIXTURES.values()]
            yield (f"{100 * share:g}%", str(odds), *(f"{each:.0f}" if each <= MOST else "more" for each in medians))


def _median(evidence: NDArray[np.float64]) -> float:
    enough = evidence >= NEEDED
    return float(np.median(np.where(enough.any(axis=1), enough.argmax(axis=1) + 1, np.inf)))


def _gamma(a: float) -> NDArray[np.float64]:
    """Return log gamma(a + n) - log gamma(a) for n from 0 on."""
    return np.concatenate([[0.0], np.cumsum(np.log(a + np.arange(MOST)))])
