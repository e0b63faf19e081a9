"""What savvi 0.3.1 makes of some contests: `python tests/judging/oracle.py > tests/judging/oracle.json`.

It needs savvi, and matplotlib, which that imports and does not ask for. Both bring half a gigabyte with them, so the
figures are kept, and compared with what is installed only where savvi is: `tox -e oracle`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from savvi.multinomial import Multinomial  # type: ignore[import-not-found]

ALPHA = 0.05
SHARES = (0.03, 0.1, 0.5, 0.9)
CASES = 6
"""Of each share so many, each with one more batch of failures."""


def made() -> list[dict[str, Any]]:
    """Return contests, each as batches of failures of canary and stable, with savvi's e-value and interval."""
    generator = np.random.default_rng(5)
    cases = []
    for share in SHARES:
        for length in range(1, CASES + 1):
            bad = generator.choice([share, min(0.95, 3 * share)])
            sizes = generator.integers(1, 40, length)
            batches = [[int(ours), int(size - ours)] for size in sizes for ours in [generator.binomial(size, bad)]]
            cases.append({"w": share, "batches": batches, **answers(share, batches)})
    return cases


def answers(share: float, batches: list[list[int]]) -> dict[str, float]:
    """Return savvi's e-value after these batches, and its interval for the canary's part of all failures."""
    oracle = Multinomial(ALPHA, np.array([share, 1 - share]))
    oracle.alpha_0 = np.array([0.5, 0.5])  # its own prior is around the share
    for batch in batches:
        oracle.update(np.array(batch))
    low, high = oracle.calculate_conf_int()[0]
    return {"odds": float(oracle.odds), "low": float(low), "high": float(high)}


if __name__ == "__main__":
    json.dump(made(), sys.stdout, indent=1)
    sys.stdout.write("\n")
