"""Every value can be shown, in a line."""

from __future__ import annotations

from typing import Any

from grove_core.base.showing import LONGEST, brief


def test_what_is_short_is_shown_as_it_is() -> None:
    assert brief("a") == "'a'"
    assert brief({"a": [1]}) == "{'a': [1]}"


def test_what_is_long_is_cut() -> None:
    assert brief("x" * 1000) == "'" + "x" * (LONGEST - 1) + "..."


def test_what_cannot_be_shown_is_told_by_its_type() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert brief(deep) == "an unprintable list"
    assert brief(10**5000) == "an unprintable int"
