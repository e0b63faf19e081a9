"""Limits say what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from grove_core.base.errors import InvalidInput
from grove_core.base.limits import Limit, Limits


def test_there_are_none_unless_they_are_set() -> None:
    assert [getattr(Limits(), limit) for limit in Limit] == [None] * 5
    assert {str(limit) for limit in Limit} == set(Limits.__struct_fields__)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"memory_bytes": 0}, r"limits\.memory_bytes must be a whole number above 0, not 0"),
        ({"memory_bytes": -1}, r"limits\.memory_bytes must be .*, not -1"),
        ({"memory_bytes": 1.5}, r"limits\.memory_bytes must be a whole number above 0, not 1\.5"),
        ({"memory_bytes": "64M"}, r"not '64M'"),
        ({"cpu_ms": float("nan")}, r"limits\.cpu_ms must be a number above 0, not nan"),
        ({"cpu_ms": float("inf")}, "not inf"),
        ({"tick_ms": True}, r"limits\.tick_ms must be .*, not True"),
        ({"descriptors": True}, r"limits\.descriptors must be .*, not True"),
        ({"output_bytes": None, "descriptors": 0}, r"limits\.descriptors must be .*, not 0"),
    ],
)
def test_values_that_are_no_limits(values: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Limits(**values)
