"""`config`, with few entities and rounds: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from grove_core.base.configs import mistaken
from grove_core.base.errors import GroveError, InvalidInput
from grove_core.configs import room
from grove_core.configs.holding import Holding
from grove_core.configs.watching import Watched
from grove_core.memory.table import Table
from grove_core.runtime.loading import configuring
from grove_core.scenario.common.brought import Bring, Brought
from grove_core.scenario.common.command import quiet
from grove_core.scenario.modules import turrets
from grove_core.scenario.modules.cases import CaseSeen
from grove_core.scenario.modules.config import ConfigScenario, ConfigSeen, run_command
from grove_core.scenario.modules.config_cases import Case, mistakes_in
from grove_core.scenario.modules.config_outcome import FAST, Assertion, outcome
from grove_core.scenario.modules.turrets import MODULE, VERSIONS, Draw, changed, complete, patch_of

from .breaking import Keeping, Kept, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.timeout(300)]


def run(*cases: Case, rounds: int = 2, **options: Any) -> Outcome:
    with quiet():
        return ConfigScenario(20, rounds=rounds, cases=cases or tuple(Case), **options).run()


def test_it_passes() -> None:
    result = run()
    assert_passed(result, *FAST)  # how fast it is, a busy machine decides
    document = json.loads(msgspec.json.encode(result.document()))
    assert [case["case"] for case in document["cases"]] == [case.value for case in Case]
    assert all(case["times"] and case["wrong"] == [] for case in document["cases"])
    assert document["metrics"]["cases"] == len(Case)


def test_a_case_that_was_not_asked_for_says_nothing() -> None:
    result = run(Case.ONE)
    assert_passed(result, *(each for each in Assertion if result.assertions[each] is None))
    assert result.assertions[Assertion.FILE_FAST] is None
    assert result.assertions[Assertion.ONE_VERSION_ALONE]


Break = Callable[[pytest.MonkeyPatch], None]


def one_is_left_out(patch: pytest.MonkeyPatch) -> None:
    apply = configuring._apply

    def skips(context: Any, change: Any) -> None:
        if change.loaded.version != VERSIONS[1]:
            apply(context, change)

    patch.setattr(configuring, "_apply", skips)


def nobody_goes_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(configuring, "_go_back", lambda context, change: None)


def all_have_it(patch: pytest.MonkeyPatch) -> None:
    change = Holding.change
    patch.setattr(Holding, "change", lambda self, state, one, make: change(self, state, None, make))


def tables_are_replaced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(room, "merged", lambda before, changes: {**before, **changes})


def what_is_removed_stays(patch: pytest.MonkeyPatch) -> None:
    def merged(before: Any, changes: Any) -> Any:
        return given(before, {key: value for key, value in changes.items() if value is not None})

    given = room.merged
    patch.setattr(room, "merged", merged)


def newborn_are_as_before(patch: pytest.MonkeyPatch) -> None:
    settle = configuring._settle

    def settles(context: Any, changes: Any, then: Any) -> None:
        for change in changes:
            change.newborn = change.loaded.newborn
        settle(context, changes, then)

    patch.setattr(configuring, "_settle", settles)


def one_mistake_is_enough(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(configuring, "mistaken", lambda module, version, mistakes: mistaken(module, version, mistakes[:1]))


def the_file_is_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Watched, "changed", lambda self, now: None)


def a_bad_file_is_not_told(patch: pytest.MonkeyPatch) -> None:
    def follow(self: Holding) -> None:
        try:
            if self.watched is not None and (tables := self.watched.changed(self._context.clock.now())) is not None:
                self.take(tables, self.watched)
        except GroveError:
            pass

    patch.setattr(Holding, "follow", follow)


def what_is_being_written_is_read(patch: pytest.MonkeyPatch) -> None:
    def changed_at_once(self: Watched, now: float) -> Any:
        return self.read() if self._taken != self._signature() else None

    patch.setattr(Watched, "changed", changed_at_once)


@pytest.mark.parametrize(
    ("broken", "case", "assertion", "words"),
    [
        (one_is_left_out, Case.UPDATE, Assertion.EVERY_WORKER_HAS_IT, "(in 1.0.0)"),
        (all_have_it, Case.ONE, Assertion.ONE_VERSION_ALONE, "it was said to be for 1.0.0, 2.0.0"),
        (tables_are_replaced, Case.MERGES, Assertion.MERGES_EXACT, "merged into"),
        (what_is_removed_stays, Case.PARTIAL, Assertion.MERGES_EXACT, "the engine says"),
        (newborn_are_as_before, Case.NEWBORN, Assertion.THE_LIVING_KEEP_THEIRS, "health is wrong in"),
        (one_mistake_is_enough, Case.MISTAKES, Assertion.EVERY_MISTAKE_TOLD, "the mistake born.health is not told"),
        (nobody_goes_back, Case.RAISE, Assertion.REFUSED_CHANGES_NOTHING, "rules is wrong in 20 of 20"),
        (the_file_is_not_looked_at, Case.FILE, Assertion.FILE_FOLLOWED, "shots is wrong in"),
        (a_bad_file_is_not_told, Case.BAD_FILE, Assertion.BAD_FILE_CHANGES_NOTHING, "it was told 0 times"),
        (what_is_being_written_is_read, Case.BAD_FILE, Assertion.BAD_FILE_CHANGES_NOTHING, "was being written was"),
    ],
)
def test_an_engine_that_does_it_wrong(
    monkeypatch: pytest.MonkeyPatch, broken: Break, case: Case, assertion: Assertion, words: str
) -> None:
    broken(monkeypatch)
    assert_broken(run(case, rounds=3), assertion, words)


OTHER = """
from grove_core import Lens
from grove_core.scenario.modules import turrets_v1

class Main(turrets_v1.Turrets):
    lenses = (Lens("==1.*", "=={major}.*", []),)
    salvo = {major}.0
    {more}
"""
OBLIVIOUS = "update_config = lambda self, config: True"


@pytest.mark.parametrize(
    ("major", "more", "case", "assertion", "words"),
    [
        (2, OBLIVIOUS, Case.UPDATE, Assertion.EVERY_WORKER_HAS_IT, "(in 2.0.0)"),
        (2, "config_type = None", Case.MISTAKES, Assertion.ENGINE_ALIVE, "LoadFailed"),
        (2, "newborn = {}", Case.NEWBORN, Assertion.THE_LIVING_KEEP_THEIRS, "armour is wrong in"),
        (3, "", Case.RESTART, Assertion.EVERY_WORKER_HAS_IT, "said to be restarted were none"),
        (4, "", Case.RAISE, Assertion.REFUSED_CHANGES_NOTHING, "it was not refused"),
        (4, "", Case.HANG, Assertion.FAILURES_CONTAINED, "the next tick had no fault"),
    ],
)
def test_a_version_that_does_it_wrong(
    package: Any, installed: Any, major: int, more: str, case: Case, assertion: Assertion, words: str
) -> None:
    folder = package(MODULE, f"{major}.0.0", OTHER.format(major=major, more=more))
    one = Brought([Bring(MODULE, VERSIONS[1], f"{turrets.__package__}.turrets_v1:Turrets")])
    assert_broken(run(case, brought=one, plugins=[installed(folder)]), assertion, words)


def test_what_held_before_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = configuring._settle

    def settles(context: Any, changes: Any, then: Any) -> None:
        former = [(each.state.configs, each.loaded.version, each.loaded.config) for each in changes]
        settle(context, changes, then)
        for configs, version, config in former:
            configs[version] = config

    monkeypatch.setattr(configuring, "_settle", settles)
    assert_broken(run(Case.ANEW), Assertion.WHAT_HELD_LAST_COMES_BACK, "1.0.0 was given")


def test_a_move_that_changes_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Table.fill_holes

    def fill_holes(self: Table, *args: Any) -> int:
        count = given(self, *args)
        self["damage"][:1] += 1
        return count

    monkeypatch.setattr(Table, "fill_holes", fill_holes)
    assert_broken(run(Case.UPDATE), Assertion.ENTITIES_EXACT, "damage is wrong in")


def test_a_worker_that_is_killed_meanwhile() -> None:
    def kill(engine: DebugEngine, case: Case) -> None:
        if case is Case.ONE:
            os.kill(engine.workers(MODULE)[VERSIONS[1]], signal.SIGKILL)

    result = run(Case.UPDATE, Case.ONE, watcher=kill)
    assert not result.passed
    assert result.assertions[Assertion.EVERY_WORKER_HAS_IT]


def test_an_engine_that_does_not_survive() -> None:
    def close(engine: DebugEngine, case: Case) -> None:
        if case is Case.PARTIAL:
            engine.close()

    result = run(Case.ONE, Case.PARTIAL, watcher=close)
    assert_broken(result, Assertion.ENGINE_ALIVE, "EngineClosed")
    assert_broken(result, Assertion.MERGES_EXACT)
    assert_broken(result, Assertion.EVERY_CASE_PLAYED)
    assert result.assertions[Assertion.ONE_VERSION_ALONE]


def test_an_engine_that_leaves_something() -> None:
    keeping = Keeping(Kept.DESCRIPTOR)
    try:
        result = run(Case.ONE, settings=keeping.settings, plugins=[keeping])
        assert_broken(result, Assertion.NOTHING_LEFT, Kept.DESCRIPTOR.value)
    finally:
        keeping.tidy_up()


def seen(**ms: float) -> ConfigSeen:
    """Return what a run would see that passes, but for how long some cases took."""
    cases = [CaseSeen(case, ms=[1.0] * 3, net_ms=[ms.get(case.name, 1.0)] * 3, done=True) for case in Case]
    return ConfigSeen(1000, 3, tuple(Case), cases)


@pytest.mark.parametrize(
    ("case", "ms", "assertion"),
    [
        (Case.UPDATE, 50.0, Assertion.UPDATES_FAST),
        (Case.PARTIAL, 50.0, Assertion.UPDATES_FAST),
        (Case.INVALID, 10.0, Assertion.REFUSED_FAST),
        (Case.RAISE, 10.0, Assertion.REFUSED_FAST),
        (Case.FILE, 100.0, Assertion.FILE_FAST),
    ],
)
def test_how_fast_it_must_be(case: Case, ms: float, assertion: Assertion) -> None:
    assert_passed(outcome(seen(**{case.name: ms - 0.1})))
    assert_broken(outcome(seen(**{case.name: ms})), assertion, f"{ms:.1f}ms")


def test_no_line_is_longer_than_a_terminal_is_wide() -> None:
    assert max(map(len, outcome(seen()).text().splitlines())) <= 80
    assert max(map(len, run(Case.MISTAKES).text().splitlines())) <= 80


@pytest.mark.parametrize(("entities", "rounds"), [(3, 1), (4, 0)])
def test_too_little_to_show_anything_is_refused(entities: int, rounds: int) -> None:
    with pytest.raises(InvalidInput):
        ConfigScenario(entities, rounds=rounds)


def test_the_command_line_gets_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ConfigScenario.__init__.__kwdefaults__, "cases", (Case.ONE, Case.FILE))
    path = tmp_path / "config.json"
    code = run_command(10, path)
    document = json.loads(path.read_text("utf-8"))
    assert code == (document["result"] != "PASSED")
    assert (document["scenario"], document["entities"]) == ("config", 10)
    assert "TEST: Config" in capsys.readouterr().out


def test_changes_are_made_as_a_patch_says() -> None:
    changes = {("rate",): None, ("born", "health"): 7, ("barrels", "long", "caliber"): 3, ("barrels", "short"): None}
    config = {"rate": 2.0, "born": {"armour": 0.5}, "barrels": {"short": {}}}
    assert patch_of(changes) == {
        "rate": None,
        "born": {"health": 7},
        "barrels": {"long": {"caliber": 3}, "short": None},
    }
    assert changed(config, changes) == {"born": {"armour": 0.5, "health": 7}, "barrels": {"long": {"caliber": 3}}}
    assert config == {"rate": 2.0, "born": {"armour": 0.5}, "barrels": {"short": {}}}


def test_what_is_drawn_is_the_same_again() -> None:
    one, other = Draw(3), Draw(3)
    drawn = [one.config() for _ in range(20)]
    assert drawn == [other.config() for _ in range(20)]
    assert len({complete(config)["rate"] for config in drawn}) > 10


def test_mistakes_are_read_by_version() -> None:
    text = "a@1.0: it is wrong:\n    x: bad: very\n    y[0]: worse\na@2.0: it is wrong:\n    x: bad"
    assert dict(mistakes_in(text)) == {"a@1.0": {"x": "bad: very", "y[0]": "worse"}, "a@2.0": {"x": "bad"}}
