from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmarks.__main__ import main
from benchmarks.comparing import FLOOR, Change, compare, comparison, remarks, worse
from benchmarks.figures import Figure, Unit, Who

from .made import MACHINE, figure, results

STEADY = [1.00, 1.01, 1.02, 1.01, 1.00, 1.02, 1.01, 1.00, 1.01, 1.02]
RESTLESS = [0.5, 0.6, 1.0, 1.1, 1.5, 1.4, 1.0, 0.9, 2.0, 2.1]


def times(factor: float, samples: list[float] = STEADY) -> list[float]:
    return [factor * value for value in samples]


def change(old: Figure, new: Figure) -> Change:
    (one,) = compare(results(old), results(new))
    return one.change


@pytest.mark.parametrize(("factor", "expected"), [(2.0, Change.WORSE), (0.5, Change.BETTER), (1.0, Change.NONE)])
def test_steady_figures_that_are_far_apart_changed(factor: float, expected: Change) -> None:
    assert change(figure(STEADY), figure(times(factor))) is expected


def test_what_is_apart_but_by_less_than_the_floor_is_noise() -> None:
    new = figure(times(1 + FLOOR / 2))
    assert new.steady_low > figure(STEADY).steady_high, "it is apart"
    assert change(figure(STEADY), new) is Change.NONE


def test_what_differs_by_more_than_the_floor_but_wandered_as_far_is_noise() -> None:
    assert change(figure(RESTLESS), figure(times(1.6, RESTLESS))) is Change.NONE
    assert change(figure(RESTLESS), figure(times(6.0, RESTLESS))) is Change.WORSE


def test_of_a_percentage_more_is_better() -> None:
    high, low = figure([99.0] * 5, unit=Unit.PERCENT), figure([80.0] * 5, unit=Unit.PERCENT)
    assert change(high, low) is Change.WORSE
    assert change(low, high) is Change.BETTER


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=30), st.lists(st.floats(0.001, 1000), min_size=1))
def test_what_is_worse_one_way_is_better_the_other(one: list[float], other: list[float]) -> None:
    back = {Change.WORSE: Change.BETTER, Change.BETTER: Change.WORSE, Change.NONE: Change.NONE}
    assert change(figure(one), figure(other)) is back[change(figure(other), figure(one))]


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=30))
def test_a_run_did_not_change_against_itself(samples: list[float]) -> None:
    assert change(figure(samples), figure(samples)) is Change.NONE


def test_what_only_one_run_has_is_new_or_gone_and_not_worse() -> None:
    compared = compare(results(figure([1.0], "tick")), results(figure([9.0], "move 20%")))
    assert {each.figure.case: each.change for each in compared} == {"move 20%": Change.NEW, "tick": Change.GONE}
    assert all(each.ratio is None for each in compared)
    assert not worse(compared)


def test_only_what_is_ours_can_be_worse() -> None:
    ours, memcpy = figure(STEADY), figure(STEADY, who=Who.MEMCPY)
    slow_machine = compare(results(ours, memcpy), results(ours, figure(times(3.0), who=Who.MEMCPY)))
    assert [each.change for each in slow_machine] == [Change.NONE, Change.WORSE]
    assert not worse(slow_machine)
    assert worse(compare(results(ours, memcpy), results(figure(times(3.0)), memcpy)))


def test_the_table_shows_old_new_and_ratio() -> None:
    table = comparison(compare(results(figure([0.5])), results(figure([1.5]))))
    assert table.rows == [("tick", "ours", "100", "500 us", "1.50 ms", "3.00", "worse")]


def test_what_makes_runs_hard_to_compare_is_said() -> None:
    old = results(figure([1.0]), figure([1.0], who=Who.NUMPY))
    new = results(figure([1.0]), figure([2.0], who=Who.NUMPY), machine=replace(MACHINE, cpu="another"))
    said = list(remarks(old, new, compare(old, new)))
    assert said == [
        "cpu is not the same: a processor then, another now.",
        "What is not ours took 2.00 times as long as before (median of 1 figures).",
    ]


@pytest.mark.parametrize(("factor", "status"), [(1.0, 0), (0.3, 0), (3.0, 1)])
def test_the_command_s_status_says_whether_something_is_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float, status: int
) -> None:
    results(figure(STEADY)).write(tmp_path / "old.json")
    results(figure(times(factor))).write(tmp_path / "new.json")
    assert main(["compare", str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == status
    assert f"{factor:.2f}" in capsys.readouterr().out


def test_a_file_that_is_no_run_is_said_and_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.json").write_text("{}")
    assert main(["compare", str(tmp_path / "old.json"), str(tmp_path / "old.json")]) == 2
    assert main(["compare", str(tmp_path / "none.json"), str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
