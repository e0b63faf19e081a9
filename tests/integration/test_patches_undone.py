"""What an undo goes back to: the code, its number, and the document it had; and what is left of what was undone."""

from __future__ import annotations

import pytest
from packaging.version import Version

from grove_core.base.errors import AlreadyLoaded
from grove_core.base.events import EventKind

from .acts import kinds
from .conftest import OpenEngine
from .patched import KEEPS, SCHEMA, Code, adding, code, counts, start, ticks
from .sources import MODULE

__all__ = ["code"]

ONE = Version("1.0.0")
ADDING_2 = adding(100, schema=f'hit="i8", {SCHEMA}', lenses='Lens("==1.0.0", "==2.*", [Add("hit")])')


def test_an_undo_goes_on_from_the_last_document_that_the_code_can_read(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    picky = KEEPS.replace(
        "    self.ticks = document", "    if from_version != '1.0.0': return False\n    self.ticks = document"
    )
    start(engine, code("1.0.0", adding(1, body=picky)))
    engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2)))
    engine.tick(0.0)
    engine.undo_patch(MODULE, 1)
    assert EventKind.DOCUMENT_LEFT in kinds(engine)
    assert ticks(engine, "1.0.0") == 1
    assert counts(engine) == [1 + 2] * 8


def test_an_undo_of_the_same_number_goes_on_from_the_document_before_the_patch(
    open_engine: OpenEngine, code: Code
) -> None:
    """Not from one that the version had in an earlier life, before it was unloaded."""
    engine = open_engine({})
    one = code("1.0.0", adding(1))
    start(engine, one)
    engine.load_module_version(MODULE, 2, path=code("2.0.0", ADDING_2))
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 1, path=one)
    engine.set_traffic_split(MODULE, {1: 1.0})
    engine.tick(0.0)
    assert ticks(engine, "1.0.0") == 2
    renamed = KEEPS.replace('return {"ticks"', 'return {"steps"').replace('["ticks"]', '.get("ticks", 0)')
    engine.patch_module_version(MODULE, "1.0.0", path=code("1.0.0", adding(2, body=renamed)))
    engine.tick(0.0)
    engine.undo_patch(MODULE, "1.0.0")
    assert kinds(engine)[-2:] == [EventKind.DOCUMENT_LEFT, EventKind.PATCH_UNDONE]
    assert ticks(engine, "1.0.0") == 2


def test_a_rollback_to_a_major_number_does_not_mean_what_was_undone(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)), config={"by": 10})
    engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2)))
    engine.undo_patch(MODULE, 1)
    engine.load_module_version(MODULE, 2, path=code("2.0.0", ADDING_2))
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    assert engine.rollback(MODULE, 1).target == ONE
    engine.tick(0.0)
    assert counts(engine) == [10 + 10] * 8


def test_a_rollback_to_the_former_number_loads_its_code_again(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)), config={"by": 10})
    engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2)))
    engine.rollback(MODULE, "1.0.0")
    engine.tick(0.0)
    assert counts(engine) == [10 + 10] * 8
    with pytest.raises(AlreadyLoaded):
        engine.undo_patch(MODULE, "1.0.1")
