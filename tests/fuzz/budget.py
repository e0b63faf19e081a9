"""How many examples are tried: a quick run by default, a long one by `GROVE_FUZZ_EXAMPLES`.

`GROVE_FUZZ_EXAMPLES=50 pytest -n 2 --timeout 0 tests/fuzz` tries fifty times as many of each test.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("GROVE_FUZZ_EXAMPLES", "1"))


def budget(examples: int) -> settings:
    """Return the settings of a test that usually tries so many examples."""
    return settings(max_examples=examples * TIMES, deadline=None, suppress_health_check=list(HealthCheck))
