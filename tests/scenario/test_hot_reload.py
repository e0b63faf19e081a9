"""`hot-reload`, two rounds: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from grove_core import DebugEngine
from grove_core.base.errors import InvalidInput
from grove_core.base.patches import PatchReport
from grove_core.cli.main import main
from grove_core.runtime.state.turns import Turn
from grove_core.scenario.common.command import Realtime, quiet
from grove_core.scenario.common.footprint import Growth
from grove_core.scenario.modules import hot_reload, hot_reload_code
from grove_core.scenario.modules.hot_reload import HotReload, HotReloadSeen, Refusal
from grove_core.scenario.modules.hot_reload_code import MODULE, Code, Written
from grove_core.scenario.modules.hot_reload_frames import Frames
from grove_core.scenario.modules.hot_reload_outcome import BUDGET_MS, Assertion, Metric, outcome

from .breaking import PATIENT, assert_broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from grove_core.base.records import TickReport
    from grove_core.scenario.common.outcome import Outcome

pytestmark = pytest.mark.timeout(300)
REFUSALS = (Assertion.SYNTAX_ERROR_KEEPS_THE_OLD_CODE, Assertion.OTHER_SCHEMA_REFUSED)
BUSY = (Assertion.RELOADS_FAST, Assertion.FRAMES_KEPT)
"""How fast it is, a busy machine decides."""


@pytest.fixture(autouse=True)
def _close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have changes come soon after each other."""
    monkeypatch.setattr(hot_reload, "GAP", 3)


def run(rounds: int = 2, **options: Any) -> Outcome:
    with quiet():
        return HotReload(50, rounds, **{"settings": PATIENT, "pace": Realtime(), **options}).run()


def ticking(also: Callable[[DebugEngine, TickReport], None]) -> Callable[[DebugEngine, float], TickReport]:
    """Tick, and do something afterwards."""

    def advance(engine: DebugEngine, dt: float) -> TickReport:
        report = engine.tick(dt)
        also(engine, report)
        return report

    return advance


def test_the_command_passes_and_writes_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_reload, "HotReload", partial(HotReload, settings=PATIENT))
    told = tmp_path / "told.json"
    ran = CliRunner().invoke(main, ["scenario", "hot-reload", "--patches", "2", "--json", str(told)])
    document = json.loads(told.read_text())
    assert ran.exit_code == (document["result"] != "PASSED"), ran.output
    assert {name for name, held in document["assertions"].items() if not held} <= set(BUSY), ran.output
    assert (document["scenario"], document["entities"], document["rounds"]) == ("hot-reload", 50, 2)
    assert (document["metrics"]["changes"], document["metrics"]["entities_kept"]) == (8, 50)
    assert document["thresholds"]["reload_p50_ms"] == {"below": 500.0}
    assert "8 changes of code, 4 refusals" in ran.output


def test_a_tank_that_is_moved_and_a_tick_that_is_lost() -> None:
    def harm(engine: DebugEngine, report: TickReport) -> None:
        if report.number == 5:
            engine.inject_fault(MODULE, 1, "raise")
        if report.number == 9:
            (loaded,) = engine._states[MODULE].versions.values()
            loaded.table["x"][7] = np.nextafter(loaded.table["x"][7], np.inf)

    result = run(advance=ticking(harm))
    assert_broken(result, Assertion.ENTITIES_EXACT, "tick 9: x is wrong in 1 of 50 tanks")
    assert_broken(result, Assertion.NO_TICK_LOST, "an injected fault")
    assert result.assertions[Assertion.EVERY_CHANGE_TOOK_EFFECT]


def test_an_undo_that_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def undo(engine: DebugEngine, module: str, version: Any) -> PatchReport:
        (loaded,) = engine.get_loaded_versions(module)
        return PatchReport(module, loaded, loaded, 50, 1.0, 1.0, None, 0)

    monkeypatch.setattr(DebugEngine, "undo_patch", undo)
    result = run()
    assert_broken(result, Assertion.EVERY_CHANGE_TOOK_EFFECT, "after 4 changes ticks went by 3 where code [1]")


def test_what_must_be_refused_and_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hot_reload_code.CODES, Code.BROKEN, Written(4, 1.0))
    monkeypatch.setitem(hot_reload_code.CODES, Code.OTHER_SCHEMA, Written(5, 1.0))
    result = run()
    assert_broken(result, Assertion.SYNTAX_ERROR_KEEPS_THE_OLD_CODE, f"{Code.BROKEN} was not refused")
    assert_broken(result, Assertion.OTHER_SCHEMA_REFUSED, f"{Code.OTHER_SCHEMA} was not refused")


def test_what_is_refused_without_saying_why() -> None:
    told = [
        Refusal(Code.BROKEN, "LoadFailed", "SyntaxError"),
        Refusal(Code.OTHER_SCHEMA, "UnknownModule", "fuel is new"),
    ]
    for refusal, assertion in zip(told, REFUSALS, strict=True):
        assert_broken(seen(refusals=[refusal]), assertion, f"{refusal.code} was refused by {refusal.error}")


def test_a_patch_that_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hot_reload_code.CODES, Code.CHANGED, Written(2, 1.75, after="# changed\n"))
    assert_broken(run(), Assertion.EVERY_CHANGE_TOOK_EFFECT, "after 2 changes ticks went by 1 where code [3]")


def test_a_patch_that_keeps_its_turn_until_the_code_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = hot_reload_code.SOURCE.replace("200_000", "400_000")  # takes longer than any frame may
    monkeypatch.setattr(hot_reload_code, "SOURCE", slow)
    monkeypatch.setattr(Turn, "aside", lambda turn: nullcontext())
    result = run()
    assert_broken(result, Assertion.FRAMES_KEPT)
    assert result.metrics[Metric.OWN_FRAMES_OVER], "frames were late by that, whatever the reports say"


def test_a_process_that_is_left() -> None:
    left: list[subprocess.Popen[bytes]] = []

    def start(engine: DebugEngine, report: TickReport) -> None:
        if report.number == 9:
            left.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))

    try:
        assert_broken(run(advance=ticking(start)), Assertion.NOTHING_LEFT, "process")
    finally:
        for each in left:
            each.kill()
            each.wait()


def test_an_engine_that_ends() -> None:
    def close(engine: DebugEngine, report: TickReport) -> None:
        if report.number == 9:
            engine.close()

    assert_broken(run(advance=ticking(close)), Assertion.ENGINE_ALIVE, "EngineClosed")


def test_an_interrupt_while_the_other_thread_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def struck(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "patcher":
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", struck)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert "patcher" not in {each.name for each in threading.enumerate()}, "it would keep the process for a minute"


def seen(**measured: Any) -> Outcome:
    """Return what comes of a run in which this was measured."""
    return outcome(HotReloadSeen(50, 1, PATIENT, **measured))


def test_figures_that_break_what_they_are_held_against() -> None:
    version = hot_reload_code.Code.FIRST
    slow = PatchReport(MODULE, version, version, 50, 1.0, BUDGET_MS + 1, None, 1)  # type: ignore[arg-type]
    good = PatchReport(MODULE, version, version, 50, 1.0, 1.0, None, 1)  # type: ignore[arg-type]
    frames = Frames()
    frames.ms.extend([1.0, 30.0, 40.0][:2])
    frames.own_ms.extend([1.0, 2.0])
    fine = seen(patches=[good] * 3, wall_ms=[20.0, 900.0, 30.0], patched=frames, growth=Growth(4 << 20, 0, 0))
    assert fine.assertions[Assertion.RELOADS_FAST]
    assert fine.metrics[Metric.FRAMES_OVER] == 1
    assert fine.assertions[Assertion.MEMORY_BOUNDED]
    for wall in ([501.0] * 3, [20.0, 1001.0, 30.0], []):
        assert_broken(seen(patches=[good] * len(wall), wall_ms=wall), Assertion.RELOADS_FAST)
    assert_broken(seen(patches=[slow] * 3, wall_ms=[20.0] * 3, patched=frames), Assertion.FRAMES_KEPT)
    frames.own_ms[1] = 17.0
    assert_broken(seen(patches=[good] * 3, wall_ms=[20.0] * 3, patched=frames), Assertion.FRAMES_KEPT)
    assert_broken(seen(growth=Growth(5 << 20, 0, 0)), Assertion.MEMORY_BOUNDED)
    with pytest.raises(InvalidInput):
        HotReload(0)
