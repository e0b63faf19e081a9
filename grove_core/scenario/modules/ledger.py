"""The accounts of `ledger` in an engine, and what they must be: arrays that never met one."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

# Before anything runs: numpy loads it lazily, and what it is compiled with drops a Ctrl-C that comes meanwhile.
from numpy.random import default_rng

from grove_core.scenario.modules.comparing import compare
from grove_core.scenario.modules.ledger_v1 import HIGHEST
from grove_core.scenario.modules.ledger_v2 import FIRST_ID

if TYPE_CHECKING:
    from packaging.version import Version

    from grove_core.base.records import LoadReport, TickReport
    from grove_core.debug import DebugEngine

MODULE = "ledger"
ACCOUNTS = 200
SEED = 9
DT = 1 / 60
SENTENCE = "the quick brown fox jumps over the lazy dog. "
"""What the pages of its document are full of."""


class Ledger:
    """Both sides; every account is in version 1, whatever is tried with others.

    Args:
        engine: has no version of the module yet.
        pages: how many letters its document has besides the rest.
    """

    def __init__(self, engine: DebugEngine, pages: int = 0) -> None:
        random = default_rng(SEED)
        self.engine = engine
        self._ids = np.arange(FIRST_ID, FIRST_ID + ACCOUNTS)
        self._columns: dict[str, Any] = {
            "balance": random.uniform(1, 1e6, ACCOUNTS),
            "income": random.uniform(0, 10, ACCOUNTS),
            "rating": random.uniform(0, HIGHEST, ACCOUNTS).astype(np.float32),
        }
        self._ticks = 0
        self._pages = (SENTENCE * (pages // len(SENTENCE) + 1))[:pages]
        self._checksum = zlib.crc32(self._pages.encode())

    def begin(self) -> None:
        """Load version 1, and let all accounts be born."""
        self.load(1, pages=len(self._pages))
        self.engine.spawn(MODULE, id=self._ids, **self._columns)

    def load(self, major: int, **does: Any) -> LoadReport:
        """Load a version, and tell it what it is to do.

        Raises:
            GroveError: it was not loaded.
        """
        return self.engine.load_module_version(MODULE, major, config=does)

    def tick(self) -> list[str]:
        """Tick both, and say what went wrong."""
        return self.wrong_with(self.advance())

    def advance(self) -> TickReport:
        """Tick both. Accounts of a version that fails have their tick in version 1."""
        report = self.engine.tick(DT)
        self._columns["balance"] = self._columns["balance"] + self._columns["income"]
        self._ticks += 1
        return report

    def wrong_with(self, report: TickReport) -> list[str]:
        """Say what went wrong in a tick in which nothing may."""
        wrong = [f"{fault.kind} of {fault.version}: {fault.message}" for fault in report.faults]
        return wrong + [f"{report.entities} of {ACCOUNTS} accounts had a tick"] * (report.entities != ACCOUNTS)

    def differences(self) -> list[str]:
        """Compare all values of version 1, bit for bit, its document, and who has the accounts; say what differs."""
        (one, *_) = self.engine.get_loaded_versions(MODULE)
        found = compare(self.engine.entities(MODULE, version=one), self._ids, self._columns)
        elsewhere = ACCOUNTS - sum(version == one for version in self.engine.locate(MODULE, self._ids))
        found += [f"{elsewhere} accounts are not in version 1"] * bool(elsewhere)
        if (stable := self.engine.stable_version(MODULE)) != one:
            found.append(f"stable is {stable}")
        return [f"{MODULE}@{one}: {told}" for told in found] + self.document_differences(one)

    def document_differences(self, version: Version) -> list[str]:
        """Say whether a version's document is another one than it must be."""
        found = dict(self.engine.dump_state(MODULE, version, rows=0)["document"])
        pages = found.pop("pages", "")
        expected = {"ticks": self._ticks, "checksum": self._checksum}
        if (found, pages) == (expected, self._pages):
            return []
        return [f"{MODULE}@{version}: its document is {found}, not {expected}, or has other pages"]
