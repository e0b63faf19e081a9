"""Each promise of a validator has one that breaks it, and is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grove_core.testing import ValidatorConformance

from .broken import caught, promises_of

SAYS = "test_it_says_in_a_sentence_what_is_wrong_or_nothing"
CHANGES = "test_it_changes_nothing"
ORDER = "test_the_order_of_the_entities_means_nothing"


def clears(commit: Any) -> None:
    for values in commit.after.values():
        values[...] = 0


def sorts(commit: Any) -> None:
    commit.ids.sort()


BROKEN: list[tuple[str, Callable[[Any], Any], str]] = [
    (SAYS, lambda commit: False, "False is no sentence"),
    (SAYS, lambda commit: "", "'' is no sentence"),
    (SAYS, lambda commit: [f"{name} is wrong" for name in commit.after], "is no sentence"),
    (SAYS, lambda commit: "it is lost" if not commit.after["x"].any() else None, "'x'"),
    (SAYS, lambda commit: "the last is 7" if commit.ids[20] == 7 else None, "out of bounds"),
    (SAYS, sorts, "read-only"),
    (CHANGES, sorts, "it wrote into"),
    (CHANGES, clears, "it wrote into"),
    (ORDER, lambda commit: "the first is odd" if commit.ids[0] % 2 else None, "order of the entities"),
    (ORDER, lambda commit: "they fall" if commit.ids[0] > commit.ids[-1] else None, "order of the"),
]


@pytest.mark.parametrize(("test", "refuse", "why"), BROKEN)
def test_a_broken_validator_is_caught(test: str, refuse: Any, why: str) -> None:
    class Refusing:
        def refuse(self, commit: Any) -> Any:
            return refuse(commit)

    caught(ValidatorConformance, lambda self: Refusing(), test, why)


def test_every_promise_is_broken_by_one() -> None:
    assert {test for test, _, _ in BROKEN} == promises_of(ValidatorConformance)
