from __future__ import annotations

import json
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Results, Series, Taken, Unit, Verdict, Who, summed_up
from benchmarks.targets import TARGETS, Statistic, Target

from .made import MACHINE, figure, results

SAMPLES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=200)


@given(SAMPLES)
def test_a_figure_s_numbers_are_in_order(samples: list[float]) -> None:
    made = figure(samples)
    assert made.runs == len(samples)
    assert made.lowest == min(samples)
    assert made.lowest <= made.p50 <= made.p95 <= made.p99 <= max(samples)
    assert made.lowest <= made.steady_low <= made.steady_high <= max(samples)


@given(SAMPLES, st.randoms(use_true_random=False))
def test_the_order_of_samples_says_nothing_but_how_steady_they_were(samples: list[float], random: Random) -> None:
    shuffled = samples[:]
    random.shuffle(shuffled)
    one, other = figure(samples), figure(shuffled)
    assert (one.p50, one.p95, one.p99, one.lowest) == (other.p50, other.p95, other.p99, other.lowest)


def test_steadiness_is_the_range_of_the_medians_of_six_consecutive_parts() -> None:
    made = figure([1, 1, 9, 2, 2, 9, 3, 3, 9, 4, 4, 9, 5, 5, 9, 6, 6, 9])
    assert (made.steady_low, made.steady_high) == (1, 6)
    assert figure([7, 3]).steady_low == 3


def visit(samples: list[float], case: str = "tick") -> Taken:
    return Taken(Series(case), 100, Unit.MS, np.array(samples, np.float64))


def test_no_part_is_of_two_visits() -> None:
    (made,) = summed_up([visit([1, 1, 1]), visit([5] * 100), visit([2, 2])])
    assert (made.runs, made.p50, made.steady_low, made.steady_high) == (105, 5, 1, 5)


def test_visits_are_put_together_by_what_they_are_of() -> None:
    made = summed_up([visit([1]), visit([2], "kill"), visit([3]), visit([4], "kill")])
    assert [(each.case, each.p50) for each in made] == [("tick", 2), ("kill", 3)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    run = results(figure([1, 2, 3]), figure([4], who=Who.ERLANG_ETS), figure([99.5], unit=Unit.PERCENT), absent=("x",))
    run.write(tmp_path / "run.json")
    assert Results.read(tmp_path / "run.json") == run


def test_the_file_is_json_with_the_facts_and_no_more(tmp_path: Path) -> None:
    results(figure([1.0])).write(tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert document["machine"] == msgspec.to_builtins(MACHINE)
    assert document["figures"][0]["p50"] == 1.0
    assert document["figures"][0]["who"] == "ours"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"machine": 1}', '{"format": 1}'])
def test_what_is_no_run_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(msgspec.MsgspecError):
        Results.read(tmp_path / "run.json")


def test_a_later_format_is_refused_by_its_number(tmp_path: Path) -> None:
    later = msgspec.structs.replace(results(figure([1.0])), format=2)
    later.write(tmp_path / "run.json")
    with pytest.raises(msgspec.ValidationError, match="format 2"):
        Results.read(tmp_path / "run.json")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.title)
def test_a_target_is_reached_up_to_its_limit_and_not_beyond(target: Target) -> None:
    def verdict(value: float, who: Who = Who.OURS, entities: int = target.entities) -> Verdict:
        return target.outcome([figure([value], target.case, who, entities, target.unit)]).verdict

    worse = 0.99 if target.unit.more_is_better else 1.01
    assert verdict(target.limit) is Verdict.REACHED
    assert verdict(target.limit * worse) is Verdict.NOT_REACHED
    assert verdict(target.limit, who=Who.MEMCPY) is Verdict.NOT_MEASURED
    assert verdict(target.limit, entities=target.entities + 1) is Verdict.NOT_MEASURED


def test_a_target_for_the_95th_percentile_looks_at_nothing_else() -> None:
    (target,) = [each for each in TARGETS if each.statistic is Statistic.P95]
    slow = [1.0] * 90 + [50.0] * 10
    assert target.outcome([figure(slow, target.case, entities=0)]).verdict is Verdict.NOT_REACHED
    assert target.outcome([figure(slow, target.case, entities=0)]).measured == 50.0
