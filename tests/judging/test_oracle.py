"""E-values and intervals are those of savvi, which somebody else wrote after the same papers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from grove_core.base.comparison import Contest
from grove_core.judging.evidence import log_evidence
from grove_core.judging.intervals import rate_interval

TABLE: list[dict[str, Any]] = json.loads((Path(__file__).parent / "oracle.json").read_text("utf-8"))


def name(case: dict[str, Any]) -> str:
    return f"{case['w']}-{len(case['batches'])}"


@pytest.mark.parametrize("case", TABLE, ids=name)
def test_the_e_value_is_savvi_s(case: dict[str, Any]) -> None:
    canary, stable = (sum(side) for side in zip(*case["batches"], strict=True))
    chance = canary * math.log(case["w"]) + stable * math.log(1 - case["w"])
    assert log_evidence(Contest(1, canary, 1, stable, chance)) == pytest.approx(math.log(case["odds"]), abs=1e-9)


@pytest.mark.parametrize("case", TABLE, ids=name)
def test_the_interval_of_a_rate_is_savvi_s(case: dict[str, Any]) -> None:
    canary, stable = (sum(side) for side in zip(*case["batches"], strict=True))
    # savvi's ends come from an optimiser.
    assert rate_interval(canary, canary + stable) == pytest.approx((case["low"], case["high"]), abs=2e-4)


def test_the_table_says_something() -> None:
    assert len(TABLE) == 24
    assert min(case["odds"] for case in TABLE) < 0.2
    assert max(case["odds"] for case in TABLE) > 1000


@pytest.mark.filterwarnings("default")
def test_the_table_is_what_savvi_says_now() -> None:
    pytest.importorskip("savvi", reason="savvi is not installed: tox -e oracle")
    from .oracle import made

    now = made()
    assert [(case["w"], case["batches"]) for case in now] == [(case["w"], case["batches"]) for case in TABLE]
    for told, kept in zip(now, TABLE, strict=True):
        assert told["odds"] == pytest.approx(kept["odds"])
        assert (told["low"], told["high"]) == pytest.approx((kept["low"], kept["high"]), abs=1e-4)
