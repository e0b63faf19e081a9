"""Configs as values: merged as RFC 7396 says, and nobody else's."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from grove_core.base.configs import DEEPEST, config_of, merged
from grove_core.base.errors import InvalidInput


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [  # the examples of RFC 7396, appendix A, of which both are tables
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_changes_are_merged_as_the_standard_says(before: Any, changes: Any, after: Any) -> None:
    given = config_of(before)
    assert merged(given, changes) == after
    assert given == before, "what was there is not touched"


def test_a_config_is_a_copy() -> None:
    given = {"a": [{"b": 1}], "c": (1, 2)}
    config = config_of(given)
    given["a"][0]["b"] = 2  # type: ignore[index]
    assert config == {"a": [{"b": 1}], "c": [1, 2]}


def test_what_toml_has_is_a_config() -> None:
    day = datetime.date(2026, 11, 25)
    assert config_of({"a": True, "b": 1.5, "c": "é", "d": [[1], {"e": 2}], "day": day})["day"] == "2026-11-25"


def nested(levels: int) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for number in range(levels - 1):
        config = {"a": [config]} if number % 2 else {"a": config}
    return config


def test_how_deep_it_may_be() -> None:
    deepest = nested(43)  # 43 tables, and 21 lists between them
    assert config_of(deepest) == deepest
    with pytest.raises(InvalidInput, match=f"more than {DEEPEST} deep"):
        config_of({"a": deepest})
