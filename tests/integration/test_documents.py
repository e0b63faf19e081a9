"""What a version keeps besides its entities: one document, seeded, checkpointed, restored."""

from __future__ import annotations

from packaging.version import Version

from grove_core import DebugEngine
from grove_core.base.errors import LoadFailed, MigrationRefused
from grove_core.base.events import EventKind

from .conftest import OpenEngine, Refused, kill
from .sources import MODULE, version

ONE, TWO = Version("1.0.0"), Version("2.0.0")
KEEPS = """
ticks = 0
def get_state(self): return {"ticks": self.ticks}
def set_state(self, document): self.ticks = document["ticks"]
"""
COUNTS = "self.ticks += 1\ne.n[:] = self.ticks\nself.mark_state_changed()"
FORGETFUL = "self.ticks += 1\ne.n[:] = self.ticks"
TAKES = (
    KEEPS
    + """
def migrate_state_from(self, from_version, state):
    self.ticks = state["ticks"] + (0 if from_version == self.get_version() else 1000)
    return True
"""
)


def ticked(engine: DebugEngine) -> set[int]:
    """Tick once and return what the versions wrote into `n`: their documents' ticks."""
    assert engine.tick(1.0).skipped == 0
    return set(engine.entities(MODULE)["n"].tolist())


def start(engine: DebugEngine) -> None:
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[1, 2, 3, 4])


def test_the_warm_up_leaves_no_trace_in_the_document(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(COUNTS, body=KEEPS)})
    start(engine)
    assert [ticked(engine) for _ in range(3)] == [{1}, {2}, {3}]


def test_a_document_is_restored_after_a_kill(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(COUNTS, body=KEEPS)})
    start(engine)
    for _ in range(3):
        ticked(engine)
    kill(engine, ONE)
    assert ticked(engine) == {4}
    engine.inject_fault(MODULE, 1, "raise")
    assert ticked(engine) == {5}, "what the tick that failed did to the document is gone"


def test_a_document_whose_change_is_not_told_is_not_checkpointed(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(FORGETFUL, body=KEEPS)})
    start(engine)
    assert [ticked(engine) for _ in range(3)] == [{1}, {2}, {3}]
    kill(engine, ONE)
    assert ticked(engine) == {1}


def test_a_new_version_is_seeded_from_stables_document(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(COUNTS, body=KEEPS), "2.0.0": version(COUNTS, body=TAKES)})
    start(engine)
    for _ in range(3):
        ticked(engine)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    assert ticked(engine) == {4, 1004}
    kill(engine, TWO)
    assert ticked(engine) == {5, 6}, "version 1 is called once for its own, and once for those that catch up"


def test_a_document_that_is_not_taken_refuses_the_load(open_engine: OpenEngine, refused: Refused) -> None:
    engine = open_engine({"1.0.0": version(COUNTS, body=KEEPS), "2.0.0": version(COUNTS, body=KEEPS)})
    start(engine)
    ticked(engine)
    with refused(engine, MigrationRefused, f"{MODULE}@2.0.0", "1.0.0", "migrate_state_from"):
        engine.load_module_version(MODULE, 2)
    assert ticked(engine) == {2}


def test_a_version_that_raises_over_a_document_is_not_loaded(open_engine: OpenEngine, refused: Refused) -> None:
    raises = KEEPS + "def migrate_state_from(self, from_version, state): return state['missing']"
    engine = open_engine({"1.0.0": version(COUNTS, body=KEEPS), "2.0.0": version(COUNTS, body=raises)})
    start(engine)
    with refused(engine, LoadFailed, f"{MODULE}@2.0.0", "'missing'"):
        engine.load_module_version(MODULE, 2)


def test_a_version_without_a_document_leaves_stables_behind_and_it_is_told(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(COUNTS, body=KEEPS), "2.0.0": version("e.n += 1")})
    start(engine)
    engine.load_module_version(MODULE, 2)
    (event,) = [event for event in engine.events if event.kind is EventKind.DOCUMENT_LEFT]
    assert (event.version, event.details["giver"]) == (TWO, "1.0.0")


def test_previous_is_loaded_again_though_it_cannot_read_the_document_of_what_failed(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version(COUNTS, body=KEEPS), "2.0.0": version(COUNTS, body=TAKES)})
    start(engine)
    for _ in range(3):
        ticked(engine)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.unload_module_version(MODULE, 1)
    assert ticked(engine) == {1004}
    engine.inject_fault(MODULE, 2, "raise")
    assert ticked(engine) == {4}, "it goes on from the last document of its own"
    assert engine.get_loaded_versions(MODULE) == [ONE]


def test_a_large_document(open_engine: OpenEngine) -> None:
    body = KEEPS.replace('{"ticks": self.ticks}', '{"ticks": self.ticks, "ballast": "x" * 500_000}')
    engine = open_engine({"1.0.0": version(COUNTS, body=body)})
    start(engine)
    assert [ticked(engine) for _ in range(2)] == [{1}, {2}]
    kill(engine, ONE)
    assert ticked(engine) == {3}
