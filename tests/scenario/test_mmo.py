"""`mmo`, with some players and short steps: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from grove_core.base.comparison import Judgement, Verdict
from grove_core.base.errors import InvalidInput
from grove_core.base.rollouts import RolloutState
from grove_core.memory.table import Table
from grove_core.parts.choice import Choice
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.plans import Plan, Step, Weigh
from grove_core.scenario.common.command import quiet
from grove_core.scenario.rollouts.mmo import Mmo, MmoSeen, RampSeen, StepSeen, Version2, run_command
from grove_core.scenario.rollouts.mmo_outcome import Assertion, Metric, outcome
from grove_core.scenario.rollouts.players import MODULE

from .breaking import Keeping, Kept, assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.timeout(300)]
RAMP = Plan.ramp(bake_seconds=2.0)


def run(players: int = 1000, **options: Any) -> Outcome:
    with quiet():
        return Mmo(players, **{"plan": RAMP, **options}).run()


class Saying:
    """A plugin with a judge that says the same whatever it is shown."""

    def __init__(self, verdict: Verdict) -> None:
        self._said = Judgement(verdict, "as ever", {"seen": 1.0})

    def judge(self, comparison: Any) -> Judgement:
        return self._said

    @hookimpl
    def grove_register_judges(self) -> dict[str, Any]:
        return {"saying": lambda: self}


def under(verdict: Verdict) -> Outcome:
    plan = Plan.ramp(bake_seconds=1.0, judges=(Choice("saying"),))
    return run(plan=plan, plugins=[Saying(verdict)])


def test_it_passes() -> None:
    result = run()
    assert_passed(result, Assertion.DECISIONS_CHEAP)
    assert result.metrics[Metric.FIRST_ERROR_PERCENT] == 30
    assert result.metrics[Metric.BACK_AFTER_SECONDS] == 0, "the judges need no second look"
    assert result.assertions[Assertion.DECISIONS_CHEAP] is None
    good, buggy = json.loads(msgspec.json.encode(result.document()))["rollouts"]
    assert (good["state"], buggy["state"]) == ("promoted", "failed")
    assert [(step["players"], step["moved"]) for step in good["steps"]] == [
        (50, 50),
        (100, 50),
        (300, 200),
        (1000, 700),
    ]
    assert (buggy["rolled_back"], buggy["errors"]) == (300, 100)


def test_steps_that_meet_no_whole_number() -> None:
    assert_passed(run(1003), Assertion.DECISIONS_CHEAP)


def test_judges_that_let_everything_pass() -> None:
    assert_broken(under(Verdict.PASS), Assertion.BUG_ROLLED_BACK, "buggy is promoted: as ever")


def test_judges_that_cannot_tell() -> None:
    result = under(Verdict.INCONCLUSIVE)
    assert_broken(result, Assertion.GOOD_VERSION_PROMOTED, "good is paused: the judges could not tell: as ever")
    assert result.assertions[Assertion.PLAYERS_EXACT]


def test_a_bug_that_never_shows() -> None:
    result = run(slots=2.0)
    assert_broken(result, Assertion.BUG_ROLLED_BACK, "buggy is promoted")
    assert result.assertions[Assertion.GOOD_VERSION_PROMOTED]


def test_a_move_that_changes_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Table.fill_holes

    def fill_holes(self: Table, *args: Any) -> int:
        count = given(self, *args)
        self["kills"][:1] += 1
        return count

    monkeypatch.setattr(Table, "fill_holes", fill_holes)
    assert_broken(run(), Assertion.PLAYERS_EXACT, "kills is wrong in")


def test_a_player_who_is_lost() -> None:
    def lose(engine: DebugEngine, ticks: int) -> None:
        if ticks == 10:
            engine.despawn(MODULE, [17])

    result = run(watcher=lose)
    assert_broken(result, Assertion.ENGINE_ALIVE, "UnknownEntity")
    assert_broken(result, Assertion.NO_PLAYER_LOST)


def test_an_engine_that_does_not_survive() -> None:
    def stop(engine: DebugEngine, ticks: int) -> None:
        if ticks == 10:
            engine.close()

    assert_broken(run(watcher=stop), Assertion.ENGINE_ALIVE, "EngineClosed")


def test_an_engine_that_leaves_something() -> None:
    keeping = Keeping(Kept.DESCRIPTOR)
    try:
        result = run(settings=keeping.settings, plugins=[keeping])
        assert_broken(result, Assertion.NOTHING_LEFT, Kept.DESCRIPTOR.value)
    finally:
        keeping.tidy_up()


def seen(players: int = 100_000, **differs: Any) -> MmoSeen:
    """Return what a run would see that passes, but for what differs in its second rollout."""
    steps: list[Step] = [*RAMP.steps]
    weights = [step.weight for step in steps if isinstance(step, Weigh)]
    taken = [StepSeen(2.0 * n, 100 * w, int(w * players), int(w * players), 1.0) for n, w in enumerate(weights)]
    frames, deciding = array("d", [20.0] * 80), array("d", [40.0] * 80)
    good = RampSeen(Version2.GOOD, RolloutState.PROMOTED, "", 8.0, taken, frames, deciding)
    buggy = RampSeen(Version2.BUGGY, RolloutState.FAILED, "", 4.1, taken[:3], frames, deciding)
    buggy.errors, buggy.first_error, buggy.percent_at_first = 10, 4.1, 30.0
    buggy.rollback_ms, buggy.rollback_frame_ms = 5.0, 30.0
    for name, value in differs.items():
        setattr(buggy, name, value)
    return MmoSeen(players, RAMP, 10, players // 5, [good, buggy])


@pytest.mark.parametrize(
    ("differs", "assertion", "words"),
    [
        ({"decision_us": array("d", [1000.0] * 80)}, Assertion.DECISIONS_CHEAP, "2.60%"),
        ({"rollback_ms": 1001.0}, Assertion.ROLLBACK_FAST, "1001.0ms"),
        ({"rollback_frame_ms": 1001.0}, Assertion.ROLLBACK_FAST, "1001.0ms"),
        ({"seconds": 5.2}, Assertion.BUG_ROLLED_BACK, "1.10s"),
        ({"percent_at_first": 10.0}, Assertion.BUG_ROLLED_BACK, "The bug shows at: 10%"),
        ({"lost": 1}, Assertion.NO_PLAYER_LOST, "Players lost: 1"),
        ({"missed": 1}, Assertion.NO_PLAYER_LOST, "did not have: 1"),
        ({"faults": ["death of 2.0.0: gone"]}, Assertion.PLAYERS_EXACT, "buggy, death of 2.0.0"),
        ({"steps": [StepSeen(0.0, 5.0, 5001, 5001, 1.0)]}, Assertion.WEIGHTS_EXACT, "version 2 had 5,001 of 100,000"),
    ],
)
def test_what_a_run_is_held_against(differs: dict[str, Any], assertion: Assertion, words: str) -> None:
    assert_passed(outcome(seen()))
    assert_broken(outcome(seen(**differs)), assertion, words)


def test_no_line_is_longer_than_a_terminal_is_wide() -> None:
    assert max(map(len, outcome(seen()).text().splitlines())) <= 80


def test_too_few_players_are_refused() -> None:
    with pytest.raises(InvalidInput):
        Mmo(999)


def test_the_command_line_gets_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Mmo.__init__.__kwdefaults__, "plan", RAMP)
    path = tmp_path / "mmo.json"
    code = run_command(1000, path)
    document = json.loads(path.read_text("utf-8"))
    assert code == (document["result"] != "PASSED")
    assert (document["scenario"], document["players"], document["plan"]) == ("mmo", 1000, "ramp")
    assert "TEST: MMO" in capsys.readouterr().out


def test_fights_are_as_somebody_would_have_them_who_takes_one_after_the_other() -> None:
    """Both the versions and the reference, held against plain Python."""
    from grove_core.author.entities import Entities
    from grove_core.scenario.rollouts.players import Players
    from grove_core.scenario.rollouts.pvp_v2 import Pvp

    players, dt = Players(300, 5, 250), 0.1
    players.majors[:] = 2
    version = Pvp()
    version.initialize(players.config())
    shuffled = np.random.default_rng(3).permutation(300)
    rows = Entities.of(Pvp.schema, id=shuffled, **{name: each[shuffled] for name, each in players.columns().items()})
    before = {name: each.copy() for name, each in players.columns().items()}
    version.entities = rows
    version.process(dt)
    assert players.tick(dt)[2] == 50
    expected = by_hand(before, players.side, dt, 250)
    ((failed, _),) = rows._failures
    kept = ~np.isin(rows.id, failed)
    for name, each in players.columns().items():
        assert np.array_equal(each, expected[name]), name
        assert np.array_equal(rows[name][kept], each[rows.id[kept]]), name


def by_hand(columns: dict[str, Any], side: float, dt: float, slots: int) -> dict[str, Any]:
    now = {name: list(values) for name, values in columns.items()}
    cells: dict[tuple[int, int], list[int]] = {}
    for one in range(len(now["x"])):
        for place, speed in (("x", "vx"), ("y", "vy")):
            there = now[place][one] + now[speed][one] * np.float32(dt)
            there = there - np.float32(side) if there >= side else there
            now[place][one] = there + np.float32(side) if there < 0 else there
        cells.setdefault((int(now["x"][one] // 10), int(now["y"][one] // 10)), []).append(one)
    room = slots
    for _, inside in sorted(cells.items()):
        for one in inside[room:]:
            now["x"][one], now["y"][one] = columns["x"][one], columns["y"][one]
        inside, room = inside[:room], max(0, room - len(inside))
        for left, right in zip(inside[::2], inside[1::2], strict=False):
            strikes = {one: now["strength"][one] + min(now["streak"][one], 5) for one in (left, right)}
            now["hp"][left] -= strikes[right]
            now["hp"][right] -= strikes[left]
            for one, other in ((left, right), (right, left)):
                if now["hp"][other] <= 0:
                    now["kills"][one] += 1
                    now["streak"][one] += 1
            for one in (left, right):
                if now["hp"][one] <= 0:
                    now["hp"][one], now["streak"][one] = 100, 0
    return {name: np.array(values, columns[name].dtype) for name, values in now.items()}
