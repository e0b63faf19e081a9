"""The cases of `config`, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any


class Case(StrEnum):
    """What is played."""

    UPDATE = "all versions take another config"
    RESTART = "one says False, and gets a new worker"
    ONE = "one version takes another config"
    PARTIAL = "changes are merged into each version's"
    MERGES = "the merges of RFC 7396"
    NEWBORN = "who lives keeps what it was built with"
    INVALID = "refused: not as the versions describe it"
    MISTAKES = "every mistake is told, with its path"
    RAISE = "refused: update_config raises"
    HANG = "refused: update_config hangs"
    DEATH = "refused: update_config ends its process"
    ANEW = "a worker started anew has what held last"
    FILE = "grove.toml is changed"
    BAD_FILE = "grove.toml is changed to what does not do"


MISTAKEN: dict[str, Any] = {
    "rate": -1,
    "mode": "berserk",
    "names": ["a", 7],
    "barrels": {"very long": {"caliber": 0, "spraed": 0.5}},
    "born": {"health": "many", "armour": [1]},
    "amor": 0.5,
}
MISTAKES = {
    "rate": ">= 0",
    "mode": "there are: 'hold', 'free', 'siege'",
    "names[1]": "str",
    "barrels['very long'].caliber": ">= 1",
    "barrels['very long'].spraed": "did you mean 'spread'?",
    "born.health": "int",
    "born.armour": "float",
    "amor": "there is no such key",
}
"""Path -> what must be told of it."""
MERGES: Sequence[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = (
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
)
"""All of its appendix A in which both are tables: what there is, the patch, what comes of it."""


def mistakes_in(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what an error says: a version, and path -> mistake."""
    for part in re.split(r"\n(?=\S)", text):
        head, *lines = part.split("\n    ")
        yield head.partition(":")[0], dict(line.split(": ", 1) for line in lines if ": " in line)
