"""The cases of `error-recovery`: how each point of the protocol is reached, and packages that are broken on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grove_core.base.errors import GroveError, PackageError, WorkerError
from grove_core.scenario.common.written import Files, package
from grove_core.scenario.reliability.victim import CHILD, MODULE, ONE, TWO, Victim, source
from grove_core.wire.faults import AT_LOAD, AT_PATCH, IN_TICKS, NEEDS_ROWS, SEEN_AS, FaultPoint, InjectedKind

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine

BROKEN_VERSION = "3.0.0"
LAG_SECONDS = 30.0
"""Longer than every deadline."""
AMOUNT_BYTES = 1 << 18
IMPOSSIBLE = "–"
"""What stands for a fault that cannot be committed at a point: it needs rows, and there are none."""
NOTHING = "nothing"


def possible(kind: InjectedKind, point: FaultPoint) -> bool:
    """Tell whether a fault can be committed at a point."""
    return point in IN_TICKS or kind not in NEEDS_ROWS


def strike(engine: DebugEngine, victim: Victim, kind: InjectedKind, point: FaultPoint) -> tuple[str, list[str]]:
    """Have version 2 commit a fault at a point; both versions run, with half of the entities each.

    Returns:
        What the engine saw it as, and what was wrong then, a sentence each.
    """
    if point in AT_LOAD:
        return _strike_load(engine, victim, kind, point)
    if point is FaultPoint.PATCH:
        return _strike_patch(engine, victim, kind)
    if point is FaultPoint.UNLOAD:
        return _strike_unload(engine, kind)
    if point is FaultPoint.MIGRATE:
        return _strike_move(engine, victim, kind)
    return _strike_tick(engine, victim, kind, point)


def fits(kind: InjectedKind, point: FaultPoint, seen_as: str) -> bool:
    """Tell whether a fault was seen for what it is, where there is something that must be seen."""
    if kind not in SEEN_AS:
        return True
    if point in IN_TICKS:
        return seen_as == SEEN_AS[kind].value
    return seen_as != NOTHING if point in AT_PATCH else True


def _inject(engine: DebugEngine, kind: InjectedKind, point: FaultPoint) -> None:
    engine.inject_fault(MODULE, TWO, kind, seconds=LAG_SECONDS, point=point, amount_bytes=AMOUNT_BYTES)


def _strike_load(engine: DebugEngine, victim: Victim, kind: InjectedKind, point: FaultPoint) -> tuple[str, list[str]]:
    engine.set_traffic_split(MODULE, {ONE: 1.0})
    engine.unload_module_version(MODULE, TWO)
    _inject(engine, kind, point)
    try:
        victim.load(TWO)
    except WorkerError as error:
        wrong = ["a load failed and its version is there"] * engine.is_version_loaded(MODULE, TWO)
        return type(error).__name__, wrong
    return NOTHING, []


def _strike_patch(engine: DebugEngine, victim: Victim, kind: InjectedKind) -> tuple[str, list[str]]:
    """Have code that does the same take the place of version 2, and undo it where that came about."""
    _inject(engine, kind, FaultPoint.PATCH)
    seen_as = NOTHING
    try:
        victim.patch(TWO)
    except WorkerError as error:
        seen_as = type(error).__name__
    told, wrong = _seen(victim)
    if seen_as == NOTHING:
        engine.undo_patch(MODULE, TWO)
    return seen_as, wrong + [f"the code that went on had a fault: {told}"] * (told != NOTHING)


def _strike_unload(engine: DebugEngine, kind: InjectedKind) -> tuple[str, list[str]]:
    engine.set_traffic_split(MODULE, {ONE: 1.0})
    _inject(engine, kind, FaultPoint.UNLOAD)
    engine.unload_module_version(MODULE, TWO)
    return NOTHING, ["it is still loaded"] * engine.is_version_loaded(MODULE, TWO)


def _strike_move(engine: DebugEngine, victim: Victim, kind: InjectedKind) -> tuple[str, list[str]]:
    """Have version 2 let go of columns: version 1, which has no rows then, adopts all of its own."""
    engine.set_traffic_split(MODULE, {TWO: 1.0})
    _inject(engine, kind, FaultPoint.MIGRATE)
    engine.migrate_state(MODULE, TWO, ONE)
    return _seen(victim)


def _strike_tick(engine: DebugEngine, victim: Victim, kind: InjectedKind, point: FaultPoint) -> tuple[str, list[str]]:
    if point is FaultPoint.SPAWN:
        parent = engine.spawn(MODULE, n=0, due=[True])
        engine.pin(MODULE, parent, TWO)
    _inject(engine, kind, point)
    seen_as, wrong = _seen(victim)
    if point is FaultPoint.SPAWN:
        others = victim.children()
        born = others[others != parent[0]]
        found = engine.entities(MODULE)
        young = dict(zip(found["id"].tolist(), found["n"].tolist(), strict=True))
        if len(born) != 1 or young[int(born[0])] != CHILD:
            wrong.append(f"{len(born)} were born instead of one, or with other values")
        engine.despawn(MODULE, others)
    return seen_as, wrong


def _seen(victim: Victim) -> tuple[str, list[str]]:
    """Tick, and return as what the fault was seen."""
    report = victim.tick()
    told = ", ".join(sorted({fault.kind.value for fault in report.faults})) or NOTHING
    return told, [f"{report.skipped} entities had no tick"] * bool(report.skipped)


@dataclass(frozen=True)
class Broken:
    """A package that cannot be loaded, and the kind of error that says so."""

    files: Callable[[], Files]
    error: type[GroveError]


def _with(code: str, *, needs: str | None = None, replaced: Mapping[str, str] = {}) -> Callable[[], Files]:
    """Return what makes a package with this code; `replaced` are texts of its metadata that are written instead."""

    def make() -> Files:
        files = package(MODULE, BROKEN_VERSION, {"__init__.py": code}, needs=needs)
        for end, text in replaced.items():
            (name,) = (each for each in files if each.endswith(end))
            files[name] = text.encode()
        if replaced:  # what it says of its files is not what is to be found wrong
            del files[next(each for each in files if each.endswith("/RECORD"))]
        return files

    return make


def _half_installed() -> Files:
    files = package(MODULE, BROKEN_VERSION, {"__init__.py": "from .rest import Main", "rest.py": source(5)})
    del files[next(name for name in files if name.endswith("/rest.py"))]
    return files


_METHOD = source(5) + "\n    def {}\n"
BROKEN: Mapping[str, Broken] = {
    "syntax error": Broken(_with("class Main("), WorkerError),
    "import of what is not there": Broken(_with("import nothing_of_this_name"), WorkerError),
    "import that raises": Broken(_with("raise RuntimeError('not today')"), WorkerError),
    "import that kills": Broken(_with("import os\nos.kill(os.getpid(), 9)"), WorkerError),
    "class that is missing": Broken(_with("class Other: pass"), WorkerError),
    "initialize that raises": Broken(_with(_METHOD.format("initialize(self, config): raise ValueError")), WorkerError),
    "initialize that hangs": Broken(
        _with(_METHOD.format("initialize(self, config):\n        while True: pass")), WorkerError
    ),
    "first tick that raises": Broken(_with(source(5).replace("e.n += 5", "raise KeyError")), WorkerError),
    "module that is missing": Broken(
        _with(_METHOD.format("get_dependencies(self): return ['physics>=2']")), PackageError
    ),
    "schema that cannot be": Broken(_with(source(5).replace('n="i8"', 'n="quux"')), WorkerError),
    "version that is none": Broken(
        _with(source(5), replaced={"/METADATA": "Metadata-Version: 2.1\nName: x\nVersion: one\n"}), GroveError
    ),
    "metadata that is no text": Broken(_with(source(5), replaced={"/METADATA": "\0\0"}), GroveError),
    "entry point that is none": Broken(
        _with(source(5), replaced={"/entry_points.txt": f"[grove_core.modules]\n{MODULE} = 7:!\n"}), GroveError
    ),
    "file that is missing": Broken(_half_installed, PackageError),
}
"""What is wrong with each -> how it is made."""
