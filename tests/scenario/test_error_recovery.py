"""`error-recovery`: some of its cases, which pass, and each of its assertions broken on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from grove_core.author.schema import Column
from grove_core.debug import DebugEngine
from grove_core.memory.generations import Snapshot
from grove_core.scenario.common.command import quiet
from grove_core.scenario.reliability.error_cases import BROKEN, Broken, fits, possible
from grove_core.scenario.reliability.error_outcome import Assertion, Metric
from grove_core.scenario.reliability.error_recovery import ErrorRecovery
from grove_core.scenario.reliability.victim import source
from grove_core.wire.faults import NEEDS_ROWS, SEEN_AS, FaultPoint, InjectedKind

from .breaking import assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.needs(1, 2, 3), pytest.mark.timeout(300)]
QUICK = ["syntax error", "initialize that raises", "module that is missing", "version that is none"]


def run(kinds: Any = (), points: Any = tuple(FaultPoint), broken: Any = (), **options: Any) -> Outcome:
    with quiet():
        return ErrorRecovery(kinds, points, broken, **options).run()


@pytest.mark.parametrize("kind", [InjectedKind.RAISE, InjectedKind.KILL, InjectedKind.RANGE, InjectedKind.WRONG])
def test_a_kind_at_every_point(kind: InjectedKind) -> None:
    result = run([kind])
    text = assert_passed(result)
    assert result.metrics[Metric.CASES] == sum(possible(kind, point) for point in FaultPoint)
    assert f"\n  {kind.value} " in text
    if kind in SEEN_AS:
        told = {case["name"]: case["seen_as"] for case in result.document()["faults"]}
        assert told[f"{kind.value} at process"] == SEEN_AS[kind].value


def test_packages_that_are_broken() -> None:
    result = run(broken=QUICK)
    assert_passed(result)
    assert [case["name"] for case in result.document()["broken"]] == QUICK
    assert set(QUICK) < set(BROKEN)


def test_every_pair_has_its_case() -> None:
    assert ErrorRecovery().cases == len(BROKEN) + sum(
        len(FaultPoint) if kind not in NEEDS_ROWS else 2 for kind in InjectedKind
    )
    assert not fits(InjectedKind.RAISE, FaultPoint.PROCESS, "death")
    assert not fits(InjectedKind.RAISE, FaultPoint.IMPORT, "nothing")


def test_a_restore_that_loses_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Snapshot.restore
    monkeypatch.setattr(Snapshot, "restore", lambda self, live, start, stop: restore(self, live, start + 1, stop))
    result = run([InjectedKind.RAISE], [FaultPoint.PROCESS])
    assert_broken(result, Assertion.EVERYTHING_ELSE_UNTOUCHED, "raise at process: victim: n is wrong in 1 of 8")
    assert result.assertions[Assertion.SEEN_FOR_WHAT_IT_IS]


def test_a_fault_that_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Column, "broken_rule", lambda self, values: None)
    result = run([InjectedKind.RANGE], [FaultPoint.PROCESS])
    assert_broken(result, Assertion.SEEN_FOR_WHAT_IT_IS, "range at process was seen as nothing")


def test_a_package_that_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    from grove_core.base.errors import WorkerError
    from grove_core.scenario.common.written import package

    sound = Broken(lambda: package("victim", "3.0.0", {"__init__.py": source(5)}), WorkerError)
    monkeypatch.setitem(BROKEN, "syntax error", sound)  # type: ignore[arg-type]
    assert_broken(run(broken=["syntax error"]), Assertion.BROKEN_PACKAGES_REFUSED, "syntax error: nothing")


def test_a_bystander_whose_worker_is_replaced() -> None:
    def replace(engine: DebugEngine, cases: int) -> None:
        if engine.is_version_loaded("gamelogic", 3):
            engine.rollback("gamelogic", 1)
            engine.unload_module_version("gamelogic", 3)

    result = run([InjectedKind.RAISE], [FaultPoint.PROCESS], watcher=replace)
    assert_broken(result, Assertion.EVERYTHING_ELSE_UNTOUCHED, "a worker was replaced")


def test_an_engine_that_does_not_survive() -> None:
    result = run([InjectedKind.RAISE], watcher=lambda engine, cases: engine.close())
    assert_broken(result, Assertion.ENGINE_ALIVE, "EngineClosed")
    assert_broken(result, Assertion.EVERY_CASE_PLAYED)
