"""`races`, for some loads: it passes, and each of its assertions is broken on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grove_core.base.errors import InvalidInput
from grove_core.runtime.copies.packages import Packages
from grove_core.scenario.common.command import quiet
from grove_core.scenario.reliability.races import Races, RaceSeen, RacesSeen, run_command
from grove_core.scenario.reliability.races_outcome import Assertion, Metric, outcome
from grove_core.scenario.reliability.rewriting import Manner, Order, Pauses, files, rewrite

from .breaking import assert_broken, assert_passed

if TYPE_CHECKING:
    from grove_core.debug import DebugEngine
    from grove_core.scenario.common.outcome import Outcome

pytestmark = [pytest.mark.timeout(300)]


def run(loads: int = 12, **options: Any) -> Outcome:
    with quiet():
        return Races(loads, **options).run()


def test_it_passes() -> None:
    result = run()
    assert result.metrics[Metric.CORRUPT] == 0, result.text()
    assert result.metrics[Metric.RESTARTED_OTHERWISE] == 0
    assert result.metrics[Metric.LOADS] == 12
    assert result.assertions[Assertion.NOTHING_LEFT]
    table = result.document()["by_manner"]
    done = sum(row["ran_before"] + row["ran_newest"] + row["refused"] + row["corrupt"] for row in table)
    assert done == 12, "each load ran the one or the other, or was refused"


def test_code_that_runs_from_the_folder_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packages, "_copy", lambda self, original: original.given)
    result = run(20)
    assert_broken(result, Assertion.HALF_WRITTEN_CODE_NEVER_RUNS)
    assert result.assertions[Assertion.NOTHING_LEFT]


def test_a_restart_that_runs_something_else() -> None:
    seen = RacesSeen(1, 1, [RaceSeen(Manner.REPLACE, True, 20.0, True, 1, True, restarted_otherwise="the writing 2")])
    assert_broken(outcome(seen), Assertion.RESTARTS_RUN_THE_SAME, "the writing 2")


def test_loads_that_are_refused() -> None:
    seen = RacesSeen(100, 1)
    good = RaceSeen(Manner.REPLACE, True, 20.0, True, 1, True)
    seen.races = [good] * 98 + [RaceSeen(Manner.REPLACE, True, 20.0, True, None, False, "it is being written")] * 2
    result = outcome(seen)
    assert_broken(result, Assertion.RELOADS_SUCCEED, "load 99: it is being written")
    assert result.assertions[Assertion.HALF_WRITTEN_CODE_NEVER_RUNS]


def test_what_nobody_could_tell_is_counted_by_itself() -> None:
    def of(beyond: bool) -> Outcome:
        seen = RacesSeen(1000, 1)
        seen.races = [RaceSeen(Manner.IN_PLACE, False, 20.0, True, 1, True)] * 999
        seen.races.append(RaceSeen(Manner.IN_PLACE, False, 20.0, True, None, False, None, "two ran", beyond))
        return outcome(seen)

    assert_broken(of(False), Assertion.HALF_WRITTEN_CODE_NEVER_RUNS, "load 1000: two ran")
    assert_passed(of(True))
    assert of(True).metrics[Metric.BEYOND_WHAT_CAN_BE_TOLD] == 1


def test_writings_that_meet_no_load() -> None:
    seen = RacesSeen(1, 1, [RaceSeen(Manner.REPLACE, True, 20.0, False, 1, True)])
    assert_broken(outcome(seen), Assertion.WRITINGS_MET_LOADS)


def test_an_engine_that_does_not_survive() -> None:
    def stop(engine: DebugEngine, done: int) -> None:
        if done == 2:
            engine.close()

    assert_broken(run(watcher=stop), Assertion.ENGINE_ALIVE, "EngineClosed")


@pytest.mark.parametrize("manner", Manner)
@pytest.mark.parametrize("with_record", [True, False])
def test_every_manner_of_writing_ends_with_the_whole_package(tmp_path: Path, manner: Manner, with_record: bool) -> None:
    for number in (1, 2):
        rewrite(Order(str(tmp_path), number, manner, with_record, 0.0, 7), Pauses())
    found = {each.relative_to(tmp_path).as_posix(): each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    assert found == files(2, with_record=with_record)


def test_the_command_line_gets_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "races.json"
    code = run_command(2, 3, path)
    document = json.loads(path.read_text("utf-8"))
    assert code == (document["result"] != "PASSED")
    assert (document["scenario"], document["loads"], document["seed"]) == ("races", 2, 3)
    assert "TEST: Races" in capsys.readouterr().out


def test_nothing_to_load_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Races(0)
