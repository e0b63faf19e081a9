"""`chaos`, run for some simulated seconds: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from packaging.version import Version

from grove_core.author.schema import Column
from grove_core.base.errors import InvalidInput
from grove_core.base.records import Fault, FaultKind, TickReport
from grove_core.memory.generations import Snapshot
from grove_core.parts.settings import Choice, Settings
from grove_core.scenario.common.command import quiet
from grove_core.scenario.reliability.chaos import KINDS, Chaos, run_command
from grove_core.scenario.reliability.chaos_outcome import Assertion, Metric
from grove_core.scenario.reliability.struck import Armed, Ledger
from grove_core.wire.faults import FaultPoint, InjectedKind

from .breaking import PATIENT, Keeping, Kept, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.timeout(300)]
WAITS = {InjectedKind.LAG, InjectedKind.HANG}
QUICK = [kind for kind in KINDS if kind not in WAITS]
"""The kinds that are seen without waiting for a deadline."""
needs_all = pytest.mark.needs(1, 2, 3)


def run(seconds: float = 2.0, **options: Any) -> Outcome:
    with quiet():
        return Chaos(seconds, **{"rate": 0.1, "kinds": QUICK, "settings": PATIENT, **options}).run()


@needs_all
@pytest.mark.parametrize("seed", [1, 2])
def test_it_passes(seed: int) -> None:
    outcome = run(3.0, seed=seed)
    text = assert_passed(outcome)
    assert outcome.metrics[Metric.RECOVERY_PERCENT] == 100
    struck = outcome.metrics[Metric.FAULTS_STRUCK]
    assert struck is not None
    assert struck > 10
    assert outcome.document()["counts"] == {"v1": 40, "v2": 30, "v3": 30}
    assert "seen as" in text


@needs_all
def test_it_passes_with_what_is_seen_once_a_deadline_has_passed() -> None:
    settings = Settings(tick_deadline_ms=400.0, load_deadline_seconds=3.0)
    outcome = run(1.0, rate=0.03, kinds=sorted(WAITS), settings=settings)
    assert_passed(outcome, Assertion.NOTHING_BUT_WHAT_WAS_INJECTED)
    for row in outcome.document()["faults"]:
        if row["where"] == "tick":
            assert row["seen_as"] == ["deadline"]
            assert row["p50_ms"] >= 400, "its detection is included"


@needs_all
def test_the_same_seed_strikes_alike() -> None:
    def faults(outcome: Outcome) -> list[tuple[Any, ...]]:
        return [(row["kind"], row["where"], row["count"], row["seen_as"]) for row in outcome.document()["faults"]]

    first, second, other = run(1.0, seed=3), run(1.0, seed=3), run(1.0, seed=4)
    assert faults(first) == faults(second) != faults(other)


@needs_all
def test_a_restore_that_loses_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Snapshot.restore
    monkeypatch.setattr(Snapshot, "restore", lambda self, live, start, stop: restore(self, live, start + 1, stop))
    outcome = run(kinds=[InjectedKind.RAISE])
    assert_broken(outcome, Assertion.ENTITIES_EXACT, "x differs in 1 of 100")
    assert_broken(outcome, Assertion.EVERY_FAULT_RECOVERED, "raise of v")
    assert outcome.assertions[Assertion.ENGINE_ALIVE]
    assert outcome.assertions[Assertion.NOTHING_LEFT]


@needs_all
def test_a_fault_that_is_not_recovered() -> None:
    settings = Settings(fault_policy=Choice("pause"), tick_deadline_ms=20_000.0)
    outcome = run(kinds=[InjectedKind.KILL], settings=settings)
    assert_broken(outcome, Assertion.EVERY_FAULT_RECOVERED, "was seen as death", "was paused")


@needs_all
def test_a_fault_that_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Column, "broken_rule", lambda self, values: None)
    outcome = run(1.0, kinds=[InjectedKind.CORRUPTION])
    assert_broken(outcome, Assertion.EVERY_FAULT_RECOVERED, "was seen as nothing")
    assert not outcome.assertions[Assertion.ENTITIES_EXACT]


@needs_all
@pytest.mark.parametrize("what", [Kept.DESCRIPTOR, Kept.MAPPING, Kept.FOLDER, Kept.PROCESS])
def test_an_engine_that_leaves_something(what: Kept) -> None:
    keeping = Keeping(what)
    try:
        outcome = run(1.0, kinds=[InjectedKind.RAISE], settings=keeping.settings, plugins=[keeping])
        assert_broken(outcome, Assertion.NOTHING_LEFT, what.value)
        assert len(keeping.kept) > 2
    finally:
        keeping.tidy_up()
    for unharmed in (Assertion.ENGINE_ALIVE, Assertion.EVERY_FAULT_RECOVERED, Assertion.ENTITIES_EXACT):
        assert outcome.assertions[unharmed]


@needs_all
def test_an_engine_that_keeps_memory() -> None:
    keeping = Keeping(Kept.MEMORY)
    outcome = run(kinds=[InjectedKind.RAISE], settings=keeping.settings, plugins=[keeping])
    assert_broken(outcome, Assertion.MEMORY_BOUNDED)
    assert outcome.assertions[Assertion.NOTHING_LEFT]
    keeping.kept.clear()
    nothing = Keeping(Kept.NOTHING)
    assert_passed(run(kinds=[InjectedKind.RAISE], settings=nothing.settings, plugins=[nothing]))


@needs_all
def test_a_death_that_nobody_injected() -> None:
    def kill(engine: DebugEngine, ticks: int) -> None:
        if ticks == 40:
            os.kill(engine.workers("gamelogic")[engine.stable_version("gamelogic")], signal.SIGKILL)

    outcome = run(1.0, rate=0.02, kinds=[InjectedKind.RAISE], watcher=kill)
    assert_broken(outcome, Assertion.NOTHING_BUT_WHAT_WAS_INJECTED, "death of 1.")
    assert outcome.assertions[Assertion.ENTITIES_EXACT]


@needs_all
def test_an_engine_that_does_not_survive() -> None:
    def stop(engine: DebugEngine, ticks: int) -> None:
        if ticks == 20:
            engine.close()

    outcome = run(watcher=stop)
    assert_broken(outcome, Assertion.ENGINE_ALIVE, "EngineClosed")
    assert not outcome.assertions[Assertion.THREE_VERSIONS_RUN]
    assert outcome.metrics[Metric.LEFT_OVER] == 0


@needs_all
def test_the_command_line_gets_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "chaos.json"
    code = run_command(1, 5, 10, False, path)
    document = json.loads(path.read_text("utf-8"))
    assert code == (document["result"] != "PASSED")
    assert (document["scenario"], document["entities"], document["seed"]) == ("chaos", 10, 5)
    assert set(document["metrics"]) == set(Metric)
    assert set(document["thresholds"]) == set(Metric)
    assert f"Result: {'✅' if code == 0 else '❌'}" in capsys.readouterr().out
    assert run_command(1, 5, 10, False, tmp_path / "missing" / "chaos.json") == 1


@pytest.mark.parametrize("options", [{"seconds": 0}, {"entities": 2}, {"rate": 1.5}])
def test_what_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Chaos(**options)


ONE = Version("1")


def seen(kind: FaultKind, tick: int = 7) -> Fault:
    return Fault("gamelogic", ONE, kind, "", tick, 3)


@pytest.mark.parametrize(
    ("armed", "fault", "cause"),
    [
        ([(InjectedKind.RAISE, "process", 7)], FaultKind.RAISE, 0),
        ([(InjectedKind.RAISE, "process", 7)], FaultKind.DEADLINE, 0),
        ([(InjectedKind.RAISE, "process", 6)], FaultKind.RAISE, None),
        ([(InjectedKind.HANG, "migrate", 2), (InjectedKind.RAISE, "process", 7)], FaultKind.RAISE, 1),
        ([(InjectedKind.HANG, "migrate", 2), (InjectedKind.FLOOD, "process", 7)], FaultKind.DEATH, 0),
        ([(InjectedKind.MEMORY, "process", 2)], FaultKind.DEATH, 0),
        ([(InjectedKind.MEMORY, "process", 2)], FaultKind.DEADLINE, None),
        ([], FaultKind.DEATH, None),
    ],
)
def test_a_fault_is_put_down_to_what_explains_it(
    armed: list[tuple[InjectedKind, str, int]], fault: FaultKind, cause: int | None
) -> None:
    ledger = Ledger()
    for kind, point, tick in armed:
        ledger.arm(ONE, Armed(kind, FaultPoint(point), tick))
    ledger.tick(0.0, TickReport(7, 1.0, 3, 0, (seen(fault),)), recovered=True)
    found = [one for one in ledger.struck if one.seen_as is not None]
    assert [one.kind for one in found] == ([] if cause is None else [armed[cause][0]])
    assert len(ledger.unexpected) == (cause is None)
    assert np.isclose(sum(one.ms for one in found), len(found))
