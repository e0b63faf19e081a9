"""`limits`, with little state: each of its parts passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from packaging.version import Version

from grove_core.author.schema import Column
from grove_core.base.errors import InvalidInput
from grove_core.base.records import VersionRecord
from grove_core.debug import DebugEngine
from grove_core.memory.table import Table
from grove_core.parts.choice import Choice
from grove_core.parts.hookspecs import hookimpl
from grove_core.runtime.rows import moves
from grove_core.scenario.common.command import quiet
from grove_core.scenario.modules.limits import LimitsRun, run_command
from grove_core.scenario.modules.limits_outcome import Assertion, Metric, outcome
from grove_core.scenario.modules.limits_seen import PATIENT, Case, Hang, HangKind, LimitsSeen, Part, Taken, Way

from .breaking import Keeping, Kept, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.timeout(300)]
STARTS = (Assertion.SLOW_START_LOADED, Assertion.HANGING_START_CANCELLED, Assertion.CANCELLED_START_FREED)
OF_PART = {
    Part.STATE: (Assertion.STATE_MOVES_FAST,),
    Part.START: STARTS,
    Part.CORRUPT: (Assertion.CORRUPT_STATE_REFUSED,),
    Part.PRESSURE: (Assertion.PRESSURE_RELOADS_FAST, Assertion.OUT_OF_MEMORY_CLEAN),
}


def run(*parts: Part, **options: Any) -> Outcome:
    given = {"rounds": 1, "slow_seconds": 0.1, "deadline_seconds": 3.0, "hangs": (HangKind.FROM_FOLDER,)}
    with quiet():
        return LimitsRun(1, parts, **{**given, **options}).run()


class Written:
    """A plugin with a version of a module that is one of the scenario's but for its body; it is the highest."""

    def __init__(self, folder: Path, module: str, version: str, body: str) -> None:
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        (folder / "odd.py").write_text(
            "import numpy as np\nimport time\n"
            f"from grove_core.scenario.modules.{module}_v{version[0]} import {module.capitalize()} as Given\n"
            f"class Odd(Given):\n{lines}\n"
        )
        self._record = VersionRecord(module, Version(version), "odd", "odd:Odd", str(folder), (str(folder),))

    @hookimpl
    def grove_discover_versions(self) -> list[VersionRecord]:
        return [self._record]


@pytest.mark.parametrize("part", list(Part))
def test_it_passes(part: Part) -> None:
    result = run(part)
    others = [each for other in Part if other is not part for each in OF_PART[other]]
    assert_passed(result, *others)
    assert {each for each, held in result.assertions.items() if held is None} == set(others)
    document = json.loads(msgspec.json.encode(result.document()))
    assert (document["scenario"], document["megabytes"], document["parts"]) == ("limits", 1, [part.value])
    assert document["metrics"].keys() == document["thresholds"].keys()
    assert max(map(len, result.text().splitlines())) <= 80
    if part is Part.STATE:
        assert [len(way["out_of"]) for way in document["ways"]] == [1] * 5
    if part is Part.CORRUPT:
        assert {case["seen_as"] for case in document["cases"]} >= {"rule", "LensError", "MigrationRefused"}


def test_a_move_that_changes_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Table.fill_holes

    def fill_holes(self: Table, *args: Any) -> int:
        count = given(self, *args)
        if count:
            self["r07"][-1:] *= -1
        return count

    monkeypatch.setattr(Table, "fill_holes", fill_holes)
    assert_broken(run(Part.STATE), Assertion.STATE_EXACT, "split, half by half, out", "r07 is wrong in")


def test_a_document_that_is_another_one(tmp_path: Path) -> None:
    odd = Written(tmp_path, "ledger", "2.0.1", "def get_state(self): return super().get_state() | {'ticks': 0}")
    assert_broken(run(Part.STATE, plugins=[odd]), Assertion.STATE_EXACT, "as a document: ledger@2.0.1: its document")


def test_a_slow_start_for_which_there_is_no_time(tmp_path: Path) -> None:
    odd = Written(tmp_path, "ledger", "2.0.1", "def initialize(self, config): time.sleep(600)")
    result = run(Part.START, plugins=[odd], hangs=())
    assert_broken(result, Assertion.SLOW_START_LOADED, "it was not loaded: DeadlineExceeded: it was not initialised")


def test_a_start_that_is_not_slow(tmp_path: Path) -> None:
    body = "def initialize(self, config): super().initialize({})"
    odd = Written(tmp_path, "ledger", "2.0.1", body)
    # Nobody waits for either: it is neither as slow as it should be, nor does it hang.
    result = run(Part.START, plugins=[odd], hangs=(HangKind.SLEEPS,), slow_seconds=50.0, deadline_seconds=60.0)
    assert_broken(result, Assertion.SLOW_START_LOADED)
    assert_broken(result, Assertion.HANGING_START_CANCELLED, "sleeps was seen as nothing")
    assert_broken(result, Assertion.CANCELLED_START_FREED, "sleeps: ledger@2.0.1 is loaded")


def test_a_start_that_is_cancelled_and_leaves_something(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[subprocess.Popen[bytes]] = []
    given = DebugEngine.load_module_version

    def load(self: DebugEngine, *args: Any, **named: Any) -> Any:
        if "hoard" in named["config"]:
            kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        return given(self, *args, **named)

    monkeypatch.setattr(DebugEngine, "load_module_version", load)
    try:
        result = run(Part.START)
        assert_broken(result, Assertion.CANCELLED_START_FREED, "sleeps, from a folder: process python")
        assert_broken(result, Assertion.NOTHING_LEFT, "process")
    finally:
        for each in kept:
            each.kill()
            each.wait()


def test_values_that_break_a_rule_and_are_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Column, "broken_rule", lambda self, values: None)
    result = run(Part.CORRUPT)
    words = ("newborn with NaN was seen as nothing, not InvalidColumns", "a tick that writes NaN was seen as nothing")
    assert_broken(result, Assertion.CORRUPT_STATE_REFUSED, *words)


def test_a_document_that_nobody_looks_at(tmp_path: Path) -> None:
    odd = Written(tmp_path, "ledger", "2.0.1", "def migrate_state_from(self, from_version, state): return True")
    words = ("a document with a wrong checksum was seen as nothing", "a document that lacks something was seen as")
    assert_broken(run(Part.CORRUPT, plugins=[odd]), Assertion.CORRUPT_STATE_REFUSED, *words)


def test_what_held_before_and_does_not_hold_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(engine: DebugEngine, what: str) -> None:
        if what == "a migration that makes NaN":
            engine._states["ledger"].stable_version.table["balance"][5] += 1

    words = "a migration that makes NaN: ledger@1.0.0: balance is wrong in 1 of 200"
    assert_broken(run(Part.CORRUPT, watcher=spoil), Assertion.CORRUPT_STATE_REFUSED, words)


def test_an_allocation_that_fails_halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    given = moves.Transaction.__exit__

    def leave(self: moves.Transaction, kind: Any, error: Any, trace: Any) -> None:
        if error is not None:
            self._state.stable_version.table["r03"][:2] = 0
        given(self, kind, error, trace)

    monkeypatch.setattr(moves.Transaction, "__exit__", leave)
    words = ("a split without descriptors: archive@1.0.0: r03 is wrong in 2 of 8333",)
    assert_broken(run(Part.PRESSURE), Assertion.OUT_OF_MEMORY_CLEAN, *words)


def test_a_version_that_takes_more_than_it_says(tmp_path: Path) -> None:
    body = "def initialize(self, config):\n    super().initialize(config)\n    self._more = np.ones(64 << 20, np.uint8)"
    odd = Written(tmp_path, "archive", "2.0.1", body)
    result = run(Part.PRESSURE, plugins=[odd])
    assert_broken(result, Assertion.ENGINE_ALIVE, "LoadFailed", "it went over its limit memory_bytes")
    assert_broken(result, Assertion.PRESSURE_RELOADS_FAST, "not measured")


def test_an_engine_that_does_not_survive() -> None:
    result = run(Part.CORRUPT, watcher=lambda engine, what: engine.close())
    assert_broken(result, Assertion.ENGINE_ALIVE, "EngineClosed")
    assert_broken(result, Assertion.STATE_EXACT)


def test_an_engine_that_leaves_something() -> None:
    keeping = Keeping(Kept.DESCRIPTOR)
    settings = msgspec.structs.replace(PATIENT, router=Choice("keeping"))
    try:
        result = run(Part.CORRUPT, settings=settings, plugins=[keeping])
        assert_broken(result, Assertion.NOTHING_LEFT, Kept.DESCRIPTOR.value)
    finally:
        keeping.tidy_up()


def seen(**differs: Any) -> LimitsSeen:
    """Return what a run would see that passes, but for what differs."""
    found = LimitsSeen(120, 3, tuple(Part), slow_seconds=1.0, deadline_seconds=3.0, rows=1_000_000)
    found.ways = [Way("there", taken(100, 1900, 5000), taken(100, 100, 100))]
    found.document = Way("as a document", taken(100), taken(9000))
    found.slow_ms, found.compared, found.pressure = 1100.0, 9, taken(100, 2900, 9000)
    found.hangs = [hang(kind) for kind in HangKind]
    found.cases = [case(part) for part in (Part.CORRUPT, Part.PRESSURE)]
    for name, value in differs.items():
        setattr(found, name, value)
    return found


def taken(*ms: float, waited: float = 0.0) -> list[Taken]:
    return [Taken(each, waited) for each in ms]


def hang(kind: HangKind = HangKind.SLEEPS, **differs: Any) -> Hang:
    given = {"seen_as": "DeadlineExceeded", "over_ms": 20.0, "held_mb": 125.0, "left": (), "growth_mb": 0.1}
    return Hang(kind, **{**given, **differs})


def case(part: Part, *wrong: str) -> Case:
    return Case(part, "a case", "OutOfMemory", "OutOfMemory", wrong, 1.0)


@pytest.mark.parametrize(
    ("differs", "assertion", "words"),
    [
        ({"ways": [Way("a", taken(2001), taken(1))]}, Assertion.STATE_MOVES_FAST, "by the slowest way: 2001ms"),
        (
            {"ways": [Way("a", taken(1), taken(2001)), Way("b", taken(1), taken(1))]},
            Assertion.STATE_MOVES_FAST,
            "2001ms",
        ),
        ({"ways": []}, Assertion.STATE_MOVES_FAST, "not measured"),
        ({"rows": 100_000}, Assertion.STATE_MOVES_FAST, "State, columns: 12MB"),
        ({"compared": 0}, Assertion.STATE_EXACT, "compared 0 times"),
        ({"differences": ["x is wrong"]}, Assertion.STATE_EXACT, "x is wrong"),
        ({"slow_ms": 900.0}, Assertion.SLOW_START_LOADED, "loaded after: 900ms"),
        ({"slow_ms": 3001.0}, Assertion.SLOW_START_LOADED, "loaded after: 3001ms"),
        ({"hangs": [hang(over_ms=1001.0)]}, Assertion.HANGING_START_CANCELLED, "1001ms"),
        ({"hangs": [hang(held_mb=5.0)]}, Assertion.CANCELLED_START_FREED, "had taken, least: 5MB"),
        ({"hangs": [hang(growth_mb=120.0)]}, Assertion.CANCELLED_START_FREED, "left of one, most: 120.0MB"),
        ({"hangs": [hang(growth_mb=None)]}, Assertion.CANCELLED_START_FREED, "not measured"),
        ({"hangs": [hang(left=("folder x",))]}, Assertion.CANCELLED_START_FREED, "sleeps: folder x"),
        ({"pressure": taken(3001)}, Assertion.PRESSURE_RELOADS_FAST, "3001ms"),
        ({"cases": [case(Part.CORRUPT)]}, Assertion.OUT_OF_MEMORY_CLEAN, "not measured"),
        ({"cases": [case(Part.PRESSURE, "lost")]}, Assertion.OUT_OF_MEMORY_CLEAN, "a case: lost"),
    ],
)
def test_what_a_run_is_held_against(differs: dict[str, Any], assertion: Assertion, words: str) -> None:
    assert_passed(outcome(seen()))
    assert_broken(outcome(seen(**differs)), assertion, words)


def test_the_time_without_a_processor_is_told_and_does_not_decide() -> None:
    result = outcome(seen(ways=[Way("a", taken(2900, waited=2000), taken(100))]))
    assert_passed(result)
    assert (result.metrics[Metric.OUT_MS], result.metrics[Metric.OUT_WORST_MS]) == (900, 2900)


def test_a_hog_ends_with_whoever_made_it() -> None:
    code = (
        "import os\nfrom grove_core.scenario.modules.limits_pressure import hog\n"
        "with hog(1 << 20) as pid:\n    print(pid, flush=True)\n    os._exit(0)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    end = time.monotonic() + 60
    while runs(int(told.stdout)):
        assert time.monotonic() < end
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("wrong", [{"megabytes": 0}, {"rounds": 0}, {"slow_seconds": 3.0, "deadline_seconds": 3.0}])
def test_what_cannot_be_run_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        LimitsRun(**wrong)


def test_the_command_line_gets_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LimitsRun.__init__.__kwdefaults__, "rounds", 1)
    monkeypatch.setattr(LimitsRun.__init__, "__defaults__", (120, (Part.CORRUPT,)))
    path = tmp_path / "limits.json"
    code = run_command(1, path)
    document = json.loads(path.read_text("utf-8"))
    assert code == (document["result"] != "PASSED")
    assert document["metrics"][Metric.CORRUPT_REFUSED_PERCENT] == 100
    assert "TEST: Limits" in capsys.readouterr().out
