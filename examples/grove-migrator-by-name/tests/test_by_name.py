"""The migrator by itself: Grove's contract, what it accepts, and what is hard to cast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("grove_migrator_by_name", reason="grove-migrator-by-name is not installed")

from grove_migrator_by_name import ByName
from grove_migrator_by_name.migrator import cast

from grove_core import Column
from grove_core.author.lens import Endpoint
from grove_core.parts.contracts import Migrator
from grove_core.testing import MigratorConformance, endpoint

ONE = endpoint("1.0.0", x="f8", n="i8", flag="?", only="i4")
TWO = endpoint("2.0.0", n="i4", x="f4", flag=Column("u1", low=0), new="f4")
DTYPES = ("?", "i1", "u1", "i4", "u8", "i8", "f2", "f4", "f8")


class TestConformance(MigratorConformance):
    def make(self) -> Migrator:
        return ByName()

    def accepted(self) -> Sequence[tuple[Endpoint, Endpoint]]:
        return [(ONE, TWO), (TWO, ONE), (ONE, endpoint("3.0.0", x="i2", n="u1", flag="f8"))]


def test_it_returns_what_changes_and_nothing_else() -> None:
    rows: dict[str, Any] = {
        "x": np.array([1.5, 2.5]),
        "n": np.array([1 << 40, -5]),
        "flag": np.array([True, False]),
        "only": np.array([1, 2], "i4"),
    }
    returned = ByName().migrate(rows, ONE, endpoint("2.0.0", x="f8", n="i4", flag="u1"))
    assert {name: (values.dtype.str, values.tolist()) for name, values in returned.items()} == {
        "n": ("<i4", [2**31 - 1, -5]),
        "flag": ("|u1", [1, 0]),
    }


@pytest.mark.parametrize(("least", "accepted"), [(0.1, True), (0.6, True), (0.61, False), (1.0, False)], ids=str)
def test_so_many_columns_must_be_in_common(least: float, accepted: bool) -> None:
    assert ByName(least).accepts(ONE, TWO) is accepted, "3 of 5 are"
    assert ByName(least).accepts(TWO, ONE) is accepted


def test_versions_without_columns_have_nothing_in_common() -> None:
    assert not ByName(0.1).accepts(endpoint("1.0.0"), endpoint("2.0.0"))
    assert ByName(1.0).accepts(ONE, ONE)


@pytest.mark.parametrize("least", [0, -1, 1.5, float("nan")])
def test_an_option_that_means_nothing_is_refused(least: float) -> None:
    with pytest.raises(ValueError, match="least must be above 0 and at most 1"):
        ByName(least)


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_whatever_can_be_held_is_held_exactly(source: str, target: str) -> None:
    small = np.array([0, 1, 1, 0], source)
    assert cast(small, np.dtype(target)).dtype == np.dtype(target)
    assert cast(small, np.dtype(target)).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("values", "target", "expected"),
    [
        (np.array([0.5, 1.5, -0.6, np.nan]), "i4", [0, 2, -1, 0]),
        (np.array([np.inf, -np.inf, 1e300, -1e300]), "i8", [2**63 - 1, -(2**63)] * 2),
        (np.array([2.0**63, 2.0**63 - 1024, 2.0**64]), "i8", [2**63 - 1, 2**63 - 1024, 2**63 - 1]),
        (np.array([-1.0, 2.0**64, 300.0]), "u8", [0, 2**64 - 1, 300]),
        (np.array([-1, 300, 2**40], "i8"), "u1", [0, 255, 255]),
        (np.array([2**64 - 1], "u8"), "i8", [2**63 - 1]),
        (np.array([0.0, -0.0, np.nan, 0.1]), "?", [False, False, False, True]),
        (np.array([1e300, -1e300, np.inf]), "f4", [np.inf, -np.inf, np.inf]),
    ],
)
def test_what_cannot_be_held_becomes_the_nearest(values: Any, target: str, expected: list[object]) -> None:
    assert cast(values, np.dtype(target)).tolist() == expected
