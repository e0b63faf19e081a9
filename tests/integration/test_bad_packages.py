"""Packages that are broken in every way we know: a load that fails says why, and leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grove_core import GroveError, Settings
from grove_core.base.errors import (
    BrokenPackage,
    ConflictingPackages,
    DeadlineExceeded,
    DependencyError,
    LensError,
    LoadFailed,
    PeerDied,
    UnknownModule,
)

from .conftest import OpenEngine, Refused
from .sources import BOTH, MODULE, V1, V2, version

LENS = 'Lens("==1.*", "==2.*", [{}])'
"""From `counter` 1.0.0 to a version with the columns that `ROWS` has, and `hit`."""
ROWS = 'x="f4", n="i8", tag=Column("i1", low=-100, high=100), fixed="f4", hit="i8"'
BROKEN = {
    "does not import": ("import nothing_of_this_name", LoadFailed, ["nothing_of_this_name", "import"]),
    "has a syntax error": ("class Main(", LoadFailed, ["SyntaxError"]),
    "has no such attribute": ("class Other: pass", LoadFailed, ["Main"]),
    "is no class": ("Main = 7", LoadFailed, ["7", "not a subclass"]),
    "is no Module": ("class Main: pass", LoadFailed, ["not a subclass"]),
    "has no schema": ("from grove_core import Module\nclass Main(Module): pass", LoadFailed, ["no schema"]),
    "cannot be made": (version("pass", body="def __init__(self, needed): pass"), LoadFailed, ["needed"]),
    "has a reserved column": (version("pass", schema='id="i8"'), LoadFailed, ["SchemaError", "'id'"]),
    "has a private column": (version("pass", schema='_x="i8"'), LoadFailed, ["SchemaError", "'_x'"]),
    "has an unknown dtype": (version("pass", schema='x="quux"'), LoadFailed, ["SchemaError", "quux"]),
    "has an object column": (version("pass", schema='x="O"'), LoadFailed, ["SchemaError", "'O'"]),
    "has a default that breaks its rule": (
        version("pass", schema='x=Column("f4", low=1)'),
        LoadFailed,
        ["SchemaError", "'x'", "default"],
    ),
    "raises in initialize": (
        version("pass", body="def initialize(self, config): raise ValueError('no licence')"),
        LoadFailed,
        ["initialised", "no licence"],
    ),
    "exits in initialize": (
        version("pass", body="def initialize(self, config): sys.exit(3)"),
        LoadFailed,
        ["SystemExit", "3"],
    ),
    "dies in initialize": (version("pass", body="def initialize(self, config): os._exit(3)"), PeerDied, []),
    "is killed while it is imported": (version("pass", top="os.kill(os.getpid(), 9)"), PeerDied, []),
    "raises in its first tick": (version("raise KeyError('q')"), LoadFailed, ["warmed", "'q'"]),
    "has no process": (
        "from grove_core import Module, Schema\nclass Main(Module): schema = Schema(x='f4')",
        LoadFailed,
        ["process"],
    ),
    "writes a constant column": (version("e.x += 1", schema='x="f4", constant=("x",)'), LoadFailed, ["read-only"]),
    "has a document that is none": (
        version("pass", body="def get_state(self): return object()"),
        LoadFailed,
        ["object"],
    ),
    "needs another module": (
        version("pass", body="def get_dependencies(self): return ['physics>=2']"),
        DependencyError,
        ["physics>=2", "load that module first"],
    ),
    "names a dependency that is none": (
        version("pass", body="def get_dependencies(self): return ['!!']"),
        DependencyError,
        ["'!!'"],
    ),
    "names a dependency of a number that cannot be read": (
        version("pass", body="def get_dependencies(self): return ['physics>=' + '9' * 5000]"),
        DependencyError,
        ["'physics>=999", "is not of the form"],
    ),
    "has a lens that casts to what ends numpy": (
        version("pass", schema=ROWS, lenses=LENS.format('Add("hit"), Cast("n", "m8[s/0]")')),
        LensError,
        ["'m8[s/0]' is no dtype"],
    ),
    "has a lens without a specifier": (
        version("pass", schema=ROWS, lenses='Lens("one", "==2.*", [Add("hit")])'),
        LensError,
        ["'one'"],
    ),
    "has a lens that adds too little": (version("pass", schema=ROWS, lenses=LENS.format("")), LensError, ["'hit'"]),
    "has a lens that drops what is not there": (
        version("pass", schema=ROWS, lenses=LENS.format('Add("hit"), Drop("z")')),
        LensError,
        ["'z'"],
    ),
    "has a lens that ends in another dtype": (
        version("pass", schema=ROWS.replace('n="i8"', 'n="i4"'), lenses=LENS.format('Add("hit")')),
        LensError,
        ["'n'", "int32", "Cast"],
    ),
    "has a lens whose default does not fit": (
        version("pass", schema=ROWS, lenses=LENS.format('Add("hit", 0.5)')),
        LensError,
        ["hit", "0.5"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_version_that(what: str, open_engine: OpenEngine, refused: Refused) -> None:
    source, error, words = BROKEN[what]
    engine = open_engine({"1.0.0": V1, "2.0.0": source})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=[5, 6], x=[1.0, 2.0])
    with refused(engine, error, f"{MODULE}@2.0.0", *words):
        engine.load_module_version(MODULE, 2)
    assert engine.tick(1.0).entities == 2
    assert engine.entities(MODULE)["n"].tolist() == [1, 1]


@pytest.mark.parametrize("what", ["does not import", "raises in initialize", "needs another module"])
def test_the_first_version_of_a_module_that(what: str, open_engine: OpenEngine, refused: Refused) -> None:
    source, error, words = BROKEN[what]
    engine = open_engine({"1.0.0": source})
    with refused(engine, error, f"{MODULE}@1.0.0", *words):
        engine.load_module_version(MODULE, 1)
    with refused(engine, UnknownModule, MODULE):
        engine.get_loaded_versions(MODULE)


@pytest.mark.parametrize(
    "source",
    [
        version("pass", body="def initialize(self, config): time.sleep(600)"),
        version("pass", body="def initialize(self, config):\n    while True: pass"),
        version("pass", top="time.sleep(600)"),
        version("time.sleep(600)"),
        version(
            "pass",
            body="def initialize(self, config):\n"
            "    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); time.sleep(600)",
        ),
    ],
    ids=["sleeps", "spins", "hangs at import", "hangs in its first tick", "blocks signals"],
)
def test_a_version_that_hangs(open_engine: OpenEngine, refused: Refused, source: str) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": source}, settings=Settings(load_deadline_seconds=2.0))
    engine.load_module_version(MODULE, 1)
    with refused(engine, DeadlineExceeded, f"{MODULE}@2.0.0", "2 s", "load_deadline_seconds"):
        engine.load_module_version(MODULE, 2)


def test_a_version_that_prints_much_while_it_is_loaded(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": version("pass", body="def initialize(self, config): print('x' * (1 << 20))")})
    engine.load_module_version(MODULE, 1)


def test_a_load_that_failed_can_be_made_again(open_engine: OpenEngine, package: Any, refused: Refused) -> None:
    engine = open_engine(
        {"1.0.0": V1, "2.0.0": V2.replace("def process", "def initialize(self, c): c['ok']\n\n    def process")}
    )
    engine.load_module_version(MODULE, 1)
    with refused(engine, LoadFailed, "'ok'"):
        engine.load_module_version(MODULE, 2)
    engine.load_module_version(MODULE, 2, config={"ok": 1})
    engine.spawn(MODULE, n=[1, 2])
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})


# -- metadata --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"entry_points": f"[grove_core.modules]\n{MODULE} = not a name\n"}, BrokenPackage, ["not a name"]),
        ({"entry_points": f"[grove_core.modules]\n{MODULE} = {MODULE}_v2:\n"}, BrokenPackage, [f"{MODULE}_v2:"]),
        ({"metadata": "Metadata-Version: 2.1\nName: a\nVersion: two\n"}, BrokenPackage, ["'two'"]),
        ({"metadata": "Metadata-Version: 2.1\nName: a\n"}, BrokenPackage, ["Version"]),
        ({"metadata": b"\xff\xfe\x00\x01"}, BrokenPackage, ["METADATA"]),
    ],
)
def test_metadata_that_is_broken(
    open_engine: OpenEngine,
    package: Any,
    installed: Any,
    refused: Refused,
    wrong: dict[str, Any],
    error: type[GroveError],
    words: list[str],
) -> None:
    engine = open_engine({}, plugins=(installed(package(MODULE, "2.0.0", V2, **wrong)),))
    with refused(engine, error, MODULE, *words):
        engine.load_module_version(MODULE, 2)


def test_two_distributions_of_one_version(
    open_engine: OpenEngine, package: Any, installed: Any, refused: Refused
) -> None:
    folders = [package(MODULE, "1.0.0", V1, distribution=name, import_name=name) for name in ("one", "other")]
    engine = open_engine({}, plugins=(installed(*folders),))
    with refused(engine, ConflictingPackages, f"{MODULE}@1.0.0", "one 1.0.0", "other 1.0.0"):
        engine.load_module_version(MODULE, 1)


def test_paths_that_lead_nowhere(open_engine: OpenEngine, refused: Refused, tmp_path: Path) -> None:
    engine = open_engine(BOTH)
    for path in ("nothing.whl", "nothing", tmp_path / "nothing"):
        with refused(engine, UnknownModule, str(path)):
            engine.load_module_version(MODULE, 1, path=str(path))
    (tmp_path / "empty").mkdir()
    with refused(engine, BrokenPackage, str(tmp_path / "empty"), "pip install --target"):
        engine.load_module_version(MODULE, 1, path=str(tmp_path / "empty"))
