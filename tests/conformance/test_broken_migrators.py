"""Each promise of a migrator has a migrator that breaks it, and is caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grove_core import Column
from grove_core.testing import MigratorConformance, endpoint

from .broken import caught, promises_of

POLAR = endpoint("1.0.0", angle="f8", length=Column("f8", low=0))
CARTESIAN = endpoint("2.0.0", x="f8", y="f8", side=Column("i1", low=0, high=1))


class Polar:
    """Takes rows from polar to Cartesian coordinates, as it should."""

    def accepts(self, source: Any, target: Any) -> Any:
        return {"angle", "length"} <= source.schema.dtypes.keys() and {"x", "y"} <= target.schema.dtypes.keys()

    def migrate(self, rows: Any, source: Any, target: Any) -> Any:
        x, y = rows["length"] * np.cos(rows["angle"]), rows["length"] * np.sin(rows["angle"])
        return {"x": x, "y": y, "side": (x > 0).astype("i1")}


class Suite(MigratorConformance):
    def make(self) -> Any:
        return Polar()

    def accepted(self) -> Any:
        return [(POLAR, CARTESIAN)]


class TestPolar(Suite):
    """What the broken ones derive from is sound."""


class Refusing(Polar):
    def accepts(self, source: Any, target: Any) -> Any:
        return False


class Truthy(Polar):
    def accepts(self, source: Any, target: Any) -> Any:
        return len(source.schema.dtypes)


class Sure(Polar):
    """Knows all that is asked about by name."""

    def accepts(self, source: Any, target: Any) -> Any:
        return bool(source.schema.dtypes["angle"] == target.schema.dtypes["x"])


class Once(Polar):
    asked = False

    def accepts(self, source: Any, target: Any) -> Any:
        answer, self.asked = not self.asked, True
        return answer


class Remembering(Polar):
    """Migrates only what this instance was asked about."""

    pair: Any = None

    def accepts(self, source: Any, target: Any) -> Any:
        self.pair = source, target
        return super().accepts(source, target)

    def migrate(self, rows: Any, source: Any, target: Any) -> Any:
        source, target = self.pair
        return super().migrate(rows, source, target)


class Returning(Polar):
    def __init__(self, change: Any) -> None:
        self.change = change

    def migrate(self, rows: Any, source: Any, target: Any) -> Any:
        return self.change(super().migrate(rows, source, target), rows)


class Counting(Polar):
    """Numbers the rows it has seen."""

    seen = 0

    def migrate(self, rows: Any, source: Any, target: Any) -> Any:
        self.seen += 1
        return {**super().migrate(rows, source, target), "x": rows["angle"] + self.seen}


def in_place(columns: Any, rows: Any) -> Any:
    rows["angle"] += 1
    return columns


COLUMNS = "test_it_returns_columns_of_the_target"
ANY = "test_it_says_of_any_two_versions_whether_it_accepts_them"
ORDER = "test_the_order_of_the_rows_means_nothing"
BROKEN: list[tuple[str, Any, str]] = [
    ("test_it_accepts_what_it_is_said_to", Refusing, r"1\.0\.0 -> 2\.0\.0 is not accepted"),
    (ANY, Truthy, "neither True nor False"),
    (ANY, Sure, "angle"),
    (ANY, Once, "asked again"),
    (COLUMNS, Remembering, "NoneType"),
    (COLUMNS, lambda: Returning(lambda columns, rows: None), "not columns by name"),
    (COLUMNS, lambda: Returning(lambda columns, rows: rows), r"returned \['angle', 'length'\]"),
    (COLUMNS, lambda: Returning(lambda columns, rows: {"x": columns["x"][:-1]}), "x has the shape"),
    (COLUMNS, lambda: Returning(lambda columns, rows: {"x": 0.0}), r"x has the shape \(\)"),
    (COLUMNS, lambda: Returning(lambda columns, rows: {"side": columns["side"] - 1}), "below its lowest value"),
    (COLUMNS, lambda: Returning(lambda columns, rows: {"side": columns["x"].astype(str)}), "side"),
    (COLUMNS, lambda: Returning(in_place), "read-only"),
    (ORDER, lambda: Returning(lambda columns, rows: {"x": np.cumsum(columns["x"])}), "order of the rows"),
    ("test_the_same_rows_give_the_same_values", Counting, "changed x"),
]


@pytest.mark.parametrize(("test", "broken", "why"), BROKEN)
def test_a_broken_migrator_is_caught(test: str, broken: Any, why: str) -> None:
    caught(Suite, lambda self: broken(), test, why)


def test_every_promise_is_broken_by_one() -> None:
    assert {test for test, _, _ in BROKEN} == promises_of(MigratorConformance)


def test_a_suite_that_says_nothing_is_accepted_is_told() -> None:
    class Empty(Suite):
        def accepted(self) -> Any:
            return []

    caught(Empty, lambda self: Polar(), "test_it_accepts_what_it_is_said_to", "nothing can be tested")
