"""`dependencies`, with few entities and rounds: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from grove_core.base.errors import DependencyError, InvalidInput
from grove_core.runtime.loading import renewing, resolving
from grove_core.runtime.orders import unloading
from grove_core.runtime.rows import split
from grove_core.runtime.ticking import tick
from grove_core.scenario.common.command import quiet
from grove_core.scenario.modules.cases import CaseSeen
from grove_core.scenario.modules.dependencies import DependenciesScenario, DependenciesSeen, run_command
from grove_core.scenario.modules.dependencies_cases import Case
from grove_core.scenario.modules.dependencies_outcome import FAST, Assertion, outcome
from grove_core.scenario.modules.game import CHAT, MAP

from .breaking import Keeping, Kept, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.timeout(300)]


def run(*cases: Case, **options: Any) -> Outcome:
    with quiet():
        return DependenciesScenario(5, **{"rounds": 1, "cases": cases or tuple(Case), **options}).run()


def test_it_passes() -> None:
    result = run(rounds=2)
    assert_passed(result, *FAST)  # how fast it is, a busy machine decides
    document = json.loads(msgspec.json.encode(result.document()))
    assert [case["case"] for case in document["cases"]] == [case.value for case in Case]
    assert all(case["times"] and case["wrong"] == [] for case in document["cases"])
    assert max(map(len, result.text().splitlines())) <= 80


Break = Callable[[pytest.MonkeyPatch], None]


def only_the_highest(patch: pytest.MonkeyPatch) -> None:
    given = resolving.Resolution._candidates
    patch.setattr(resolving.Resolution, "_candidates", lambda self, who, need: list(given(self, who, need))[:1])


def all_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tick, "levels", lambda states: [list(states)])


def nobody_is_reloaded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(renewing, "_follow", lambda context, state, loaded: None)


def dependents_first(patch: pytest.MonkeyPatch) -> None:
    given = renewing.levels
    patch.setattr(renewing, "levels", lambda states: given(states)[::-1])


def a_reload_changes_a_value(patch: pytest.MonkeyPatch) -> None:
    given = renewing._replace

    def replace(context: Any, state: Any, loaded: Any, old: Any, now: Any) -> None:
        given(context, state, loaded, old, now)
        loaded.table["value"][:1] += 1

    patch.setattr(renewing, "_replace", replace)


def a_reload_forgets_the_document(patch: pytest.MonkeyPatch) -> None:
    given = renewing._replace

    def replace(context: Any, state: Any, loaded: Any, old: Any, now: Any) -> None:
        loaded.document = msgspec.msgpack.encode({"served": 0})
        given(context, state, loaded, old, now)

    patch.setattr(renewing, "_replace", replace)


def everybody_is_reloaded(patch: pytest.MonkeyPatch) -> None:
    given = renewing._follow

    def follow(context: Any, state: Any, loaded: Any) -> None:
        given(context, state, loaded)
        if state.name == CHAT:
            renewing._replace(context, state, loaded, loaded.worker, {})

    patch.setattr(renewing, "_follow", follow)


def what_is_needed_goes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(unloading, "why_relied_on", lambda modules, state, loaded: None)


def cycles_without_a_path(patch: pytest.MonkeyPatch) -> None:
    def refuse_cycle(graph: Any) -> None:
        try:
            given(graph)
        except DependencyError:
            raise DependencyError("it cannot be") from None

    given = resolving.refuse_cycle
    patch.setattr(resolving, "refuse_cycle", refuse_cycle)


def whatever_is_stable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(split, "refuse_as_stable", lambda *args: None)


def reasons_are_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(resolving.Resolution, "_note", lambda self, reason: None)


@pytest.mark.parametrize(
    ("broken", "cases", "wrong"),
    [
        (only_the_highest, (Case.DIAMOND,), {Assertion.WHAT_IS_NEEDED_IS_LOADED: "cannot be had together"}),
        (all_at_once, (Case.ORDER,), {Assertion.BASES_ARE_TICKED_FIRST: "units was not ticked after map"}),
        (nobody_is_reloaded, (Case.RELOAD, Case.FAULT), {Assertion.DEPENDENTS_RELOADED: "reloaded were none"}),
        (dependents_first, (Case.RELOAD,), {Assertion.DEPENDENTS_RELOADED: "reloaded were [('ai'"}),
        (
            a_reload_changes_a_value,
            (Case.RELOAD,),
            {
                Assertion.DEPENDENTS_RELOADED: "not kept bit for bit: ai.value, units",
                Assertion.ENTITIES_EXACT: "ai: value is wrong in 1 of 5",
            },
        ),
        (a_reload_forgets_the_document, (Case.RELOAD,), {Assertion.DEPENDENTS_RELOADED: "units: served is wrong in 5"}),
        (
            everybody_is_reloaded,
            (Case.CANARY, Case.RELOAD),
            {
                Assertion.DEPENDENTS_RELOADED: "there are other workers than before",
                Assertion.INDEPENDENT_UNTOUCHED: "chat has another worker",
            },
        ),
        (what_is_needed_goes, (Case.UNLOAD,), {Assertion.WHAT_IS_NEEDED_STAYS: "it was not refused"}),
        (cycles_without_a_path, (Case.CYCLE,), {Assertion.CYCLES_REFUSED: "the error does not say 'ai@1.0.0 -> units"}),
        (cycles_without_a_path, (Case.NEW_CYCLE,), {Assertion.CYCLES_REFUSED: "does not say 'rain@1.0.0 ->"}),
        (whatever_is_stable, (Case.RANGE,), {Assertion.OUT_OF_RANGE_REFUSED: "it was not refused"}),
        (reasons_are_not_told, (Case.MISSING,), {Assertion.FAILURES_EXPLAINED: "does not say \"'recorder>=1.2'"}),
        (reasons_are_not_told, (Case.CONFLICT,), {Assertion.FAILURES_EXPLAINED: "does not say 'weather@1.0.0"}),
    ],
)
def test_an_engine_that_does_it_wrong(
    monkeypatch: pytest.MonkeyPatch, broken: Break, cases: tuple[Case, ...], wrong: dict[Assertion, str]
) -> None:
    broken(monkeypatch)
    result = run(*cases)
    for assertion, words in wrong.items():
        assert_broken(result, assertion, words)


def test_what_is_refused_leaves_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def learn(context: Any, record: Any) -> Any:
        kept.append(context.isolation.start())
        return given(context, record)

    given = resolving.learn
    monkeypatch.setattr(resolving, "learn", learn)
    result = run(Case.NEW_CYCLE)
    for worker in kept:
        worker.close()
    assert_broken(result, Assertion.NOTHING_HALF_LOADED, "a cycle, with nothing of it loaded: process")
    assert result.assertions[Assertion.CYCLES_REFUSED]


def test_an_entity_that_is_lost() -> None:
    def lose(engine: DebugEngine, case: Case) -> None:
        engine.despawn(MAP, engine.entities(MAP)["id"][:1])

    assert_broken(run(Case.ORDER, watcher=lose), Assertion.ENTITIES_EXACT, "UnknownEntity: map: 1 of 5")


def test_an_engine_that_does_not_survive() -> None:
    def close(engine: DebugEngine, case: Case) -> None:
        if case is Case.CYCLE:
            engine.close()

    result = run(Case.CANARY, Case.CYCLE, watcher=close)
    assert_broken(result, Assertion.ENGINE_ALIVE, "EngineClosed")
    assert_broken(result, Assertion.CYCLES_REFUSED)
    assert_broken(result, Assertion.EVERY_CASE_PLAYED)
    assert result.assertions[Assertion.DEPENDENTS_RELOADED]
    assert result.assertions[Assertion.FAILURES_EXPLAINED] is None


def test_an_engine_that_leaves_something() -> None:
    keeping = Keeping(Kept.DESCRIPTOR)
    try:
        result = run(Case.CANARY, settings=keeping.settings, plugins=[keeping])
        assert_broken(result, Assertion.NOTHING_LEFT, Kept.DESCRIPTOR.value)
    finally:
        keeping.tidy_up()


def seen(growth_mb: float = 0.1, **ms: float) -> DependenciesSeen:
    """Return what a run would see that passes, but for what some cases took."""
    cases = [CaseSeen(case, ms=[1.0] * 3, net_ms=[ms.get(case.name, 1.0)] * 3, done=True) for case in Case]
    return DependenciesSeen(1000, 3, tuple(Case), cases, growth_mb=[growth_mb])


@pytest.mark.parametrize(
    ("differs", "assertion", "words"),
    [
        ({Case.RELOAD.name: 200.0}, Assertion.RELOADS_FAST, "200.0ms"),
        ({Case.CYCLE.name: 50.0}, Assertion.CYCLES_REFUSED_FAST, "50.0ms"),
        ({"growth_mb": 5.0}, Assertion.NOTHING_HALF_LOADED, "5.00MB"),
    ],
)
def test_what_a_run_is_held_against(differs: dict[str, float], assertion: Assertion, words: str) -> None:
    assert_passed(outcome(seen(**{name: value - 0.1 for name, value in differs.items()})))
    assert_broken(outcome(seen(**differs)), assertion, words)


@pytest.mark.parametrize(("entities", "rounds"), [(1, 1), (2, 0)])
def test_too_little_to_show_anything_is_refused(entities: int, rounds: int) -> None:
    with pytest.raises(InvalidInput):
        DependenciesScenario(entities, rounds=rounds)


def test_the_command_line_gets_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DependenciesScenario.__init__.__kwdefaults__, "cases", (Case.PULLED, Case.CANARY))
    path = tmp_path / "dependencies.json"
    code = run_command(10, path)
    document = json.loads(path.read_text("utf-8"))
    assert code == (document["result"] != "PASSED")
    assert (document["scenario"], document["entities"]) == ("dependencies", 10)
    assert "TEST: Dependencies" in capsys.readouterr().out
