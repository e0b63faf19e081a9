"""Version 2 of the module `ledger`: magnitudes in place of balances. On demand it is slow, hangs, or writes junk."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grove_core.author.lens import Lens, Map
from grove_core.author.schema import Column, Schema
from grove_core.scenario.modules import ledger_v1

FIRST_ID = 1000
"""The lowest id of an account; the rows of a warm-up have lower ones."""
LOWEST, HIGHEST = -3.0, 12.0
"""Between what magnitudes lie."""


def to_magnitude(balance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the decimal logarithm of balances: NaN of those below 0, and minus infinity of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(balance)


def to_balance(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn it back."""
    return 10.0**magnitude


class Ledger(ledger_v1.Ledger):
    """Adds nothing; each magnitude grows by a little.

    Its configuration has also `start`: `slow` (it sleeps for `seconds`, and is ready then), `sleeps` or `spins` (for
    ever, with all signals blocked, `hoard` bytes of memory, an open file and a process of its own), or nothing; and
    `writes`: `nan`, `high` (a rating beyond the best), `junk` (a document that cannot be packed), or nothing.
    """

    schema = Schema(
        magnitude=Column("f8", low=LOWEST, high=HIGHEST),
        income="f8",
        rating=Column("f4", low=0.0, high=ledger_v1.HIGHEST),
        constant=("income",),
    )
    lenses = (Lens("==1.*", "==2.*", [Map(["balance"], ["magnitude"], to_magnitude, to_balance)]),)

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Start, or do not."""
        super().initialize(config)
        self._junk: object = None
        start = config.get("start")
        if start == "slow":
            time.sleep(config["seconds"])
        elif start is not None:
            hang(spinning=start == "spins", hoard=config.get("hoard", 0))

    def process(self, dt: float) -> None:
        """Grow, and write what is asked for."""
        e, writes = self.entities, self._config.get("writes")
        e.magnitude += 1 / 1024
        self.count()
        if writes == "nan":
            e.magnitude[0] = np.nan
        elif writes == "high":
            e.rating[0] = 2 * ledger_v1.HIGHEST
        elif writes == "junk" and e.id[0] >= FIRST_ID:
            self._junk = object()

    def get_state(self) -> dict[str, Any]:
        """Return the document, and what else is in it."""
        return super().get_state() | ({} if self._junk is None else {"junk": self._junk})


def hang(*, spinning: bool, hoard: int) -> None:
    """Never return, and hold all sorts of things meanwhile."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
    memory = np.ones(hoard, np.uint8)
    with (
        Path(sys.executable).open("rb") as file,
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child,
    ):
        while file and child and len(memory) == hoard:
            if not spinning:
                time.sleep(1)
