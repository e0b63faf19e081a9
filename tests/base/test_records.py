"""Reports and events are values: frozen, comparable, written with plain words."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
from packaging.version import Version

from grove_core.base import events, records
from grove_core.base.events import Event, EventKind
from grove_core.base.records import Memory, VersionRecord

CLASSES = [
    each
    for module in (records, events)
    for each in vars(module).values()
    if dataclasses.is_dataclass(each) and inspect.isclass(each)
]


@pytest.mark.parametrize("each", CLASSES, ids=lambda each: each.__name__)
def test_every_record_is_frozen_and_says_what_it_is(each: type) -> None:
    assert each.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert each.__doc__
    assert not each.__doc__.startswith(f"{each.__name__}(")


def test_records_are_equal_by_value_and_hashable() -> None:
    one, two = (VersionRecord("ledger", Version("1.0"), "d", "p:M", "here") for _ in range(2))
    assert {one: "kept"}[two] == "kept"
    assert dataclasses.replace(one, error="broken") != two


def test_memory_counts_what_was_measured() -> None:
    assert Memory(pss=10, private=4, tables=5).total == 15
    assert Memory(pss=None, private=None, tables=5).total == 5


def test_event_kinds_are_their_names_in_small_letters() -> None:
    assert all(kind.value == kind.name.lower() for kind in EventKind)
    assert Event(EventKind.FAULT, 1.0).details == {}
