"""Frames: figures that are given, and what is made of them; no clock but one that is set has a say here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from grove_core.base.records import Fault, FaultKind, Memory, RollbackReport, TickReport, UnloadReport
from grove_core.base.ticks import Stage
from grove_core.scenario.frame_clock import FrameClock, Share, read_shares, waited_ms
from grove_core.scenario.frame_report import frames_document, frames_text
from grove_core.scenario.frames import Cause, Frame, Spread, by_cause, loads_and_losses, ordinary, over, worst
from grove_core.scenario.live import phases
from grove_core.scenario.metrics import BUDGETED_ENTITIES, Assertion, Metric, judge, measure, thresholds
from grove_core.scenario.report import render
from grove_core.scenario.result import Result
from grove_core.scenario.seen import Check, Seen
from grove_core.wire.faults import InjectedKind

if TYPE_CHECKING:
    from collections.abc import Iterable

STAGES = {Stage.CHECKPOINT: 0.25, Stage.WORK: 0.5, Stage.COMMIT: 0.125, Stage.COLLECT: 0.0}


def frame(ms: float, *causes: Cause, second: float = 1.0, waited_ms: float | None = 0.0) -> Frame:
    return Frame(second, ms, ms / 2, STAGES, causes, waited_ms)


def run_of(frames: Iterable[Frame], entities: int = 100) -> Seen:
    """Return a run that came to its end, with these frames in its first phase."""
    seen = Seen(entities, 60, InjectedKind.RAISE, phases())
    check = Check({1: entities}, {1: entities}, 0, 0, entities, 1, (), ())
    for phase in seen.phases:
        phase.started = True
        phase.check = check
    seen.phases[0].frames.extend(frames)
    return seen


def test_a_spread_is_of_all_frames_and_of_no_frames_there_is_none() -> None:
    spread = Spread.of(frame(float(ms)) for ms in range(100, 0, -1))
    assert spread is not None
    assert (spread.count, spread.p50, spread.max) == (100, 50.5, 100.0)
    assert spread.p99 == pytest.approx(99.01)
    assert Spread.of([]) is None


def test_budgets_are_for_frames_without_load_or_loss() -> None:
    split, load, loss = frame(1, Cause.SPLIT), frame(2, Cause.LOAD, Cause.SPLIT), frame(3, Cause.LOSS)
    plain, collection = frame(4), frame(5, Cause.COLLECTION)
    frames = [split, load, loss, plain, collection]
    assert ordinary(frames) == [split, plain, collection]
    assert loads_and_losses(frames) == [load, loss]


def test_the_worst_come_first_and_of_equals_the_earlier() -> None:
    frames = [frame(3, second=0.0), frame(7, second=1.0), frame(3, second=2.0), frame(9, second=3.0)]
    assert [one.second for one in worst(frames, 3)] == [3.0, 1.0, 0.0]
    assert len(worst(frames)) == 4
    assert worst([]) == []


def test_a_frame_that_takes_all_of_its_budget_is_over_it() -> None:
    assert over([frame(16.69), frame(16.7), frame(30), frame(30, waited_ms=20.0)], 16.7) == (3, 2)


def test_what_a_frame_took_without_waits_is_never_negative_nor_guessed() -> None:
    assert frame(30, waited_ms=20.0).own_ms == 10
    assert frame(30, waited_ms=40.0).own_ms == 0
    assert frame(30, waited_ms=None).own_ms == 30
    spread = Spread.of_own([frame(30, waited_ms=20.0), frame(4, waited_ms=1.0)])
    assert spread is not None
    assert (spread.count, spread.max) == (2, 10)
    assert Spread.of_own([]) is None


def test_a_frame_with_two_causes_is_among_those_of_each() -> None:
    spreads = by_cause([frame(1), frame(2), frame(8, Cause.LOAD, Cause.SPLIT), frame(4, Cause.SPLIT)])
    assert {cause: (spread.count, spread.max) for cause, spread in spreads.items()} == {
        None: (2, 2),
        Cause.LOAD: (1, 8),
        Cause.SPLIT: (2, 8),
    }


def test_a_frame_is_its_calls_and_nothing_between_them() -> None:
    times = iter([10.0, 10.03, 20.0, 20.5, 30.0, 30.002, 40.0, 40.001])
    clock = FrameClock(lambda: next(times))
    with clock.call(Cause.SPLIT, Cause.LOAD):
        pass
    with clock.call(), pytest.raises(ZeroDivisionError):
        _ = 1 / 0
    with clock.call():
        pass
    one = clock.end(1.5, TickReport(1, 1.9, 100, 0, stages=STAGES), 0.75)
    assert (one.second, one.stages, one.waited_ms) == (1.5, STAGES, 0.75)
    assert one.causes == (Cause.LOAD, Cause.SPLIT)
    assert one.ms == pytest.approx(30 + 500 + 2)
    assert one.tick_ms == pytest.approx(2)
    with clock.call():
        pass
    following = clock.end(2.5, TickReport(2, 0.9, 100, 0), None)
    assert following.ms == following.tick_ms == pytest.approx(1)
    assert following.causes == ()


@pytest.mark.parametrize(
    ("reloaded", "causes"),
    [(True, (Cause.LOAD, Cause.LOSS, Cause.COLLECTION)), (False, (Cause.LOSS, Cause.COLLECTION))],
)
def test_what_a_tick_reports_are_causes(reloaded: bool, causes: tuple[Cause, ...]) -> None:
    version = Version("2.0.0")
    fault = Fault("gamelogic", version, FaultKind.RAISE, "it raised", 1, 100)
    rollback = RollbackReport("gamelogic", (version,), version, fault, 100, reloaded, (), 1.0, 2.0, True)
    collected = UnloadReport("gamelogic", version, Memory(1, 1, 1), 1, 1.0, 10.0)
    clock = FrameClock()
    with clock.call():
        pass
    report = TickReport(1, 1.0, 100, 0, faults=(fault,), rollbacks=(rollback,), collected=(collected,))
    assert clock.end(0.0, report, None).causes == causes


MS = 1_000_000
ENGINE, FIRST, SECOND = 1, 2, 3


def test_waits_are_the_engine_s_and_those_of_the_worker_that_was_at_it_longest() -> None:
    before = {ENGINE: Share(5 * MS, 7 * MS), FIRST: Share(0, 0), SECOND: Share(9 * MS, 9 * MS)}
    after = {ENGINE: Share(6 * MS, 8 * MS), FIRST: Share(1 * MS, 6 * MS), SECOND: Share(13 * MS, 11 * MS)}
    assert waited_ms(ENGINE, 50, before, after) == 1 + 6, "1 + 6 ms are more than 4 + 2"
    after[SECOND] = Share(20 * MS, 11 * MS)
    assert waited_ms(ENGINE, 50, before, after) == 1 + 2, "the wait of who is done sooner holds nobody up"


def test_a_wait_that_began_before_the_tick_takes_nothing_off_what_was_computed() -> None:
    before = {ENGINE: Share(0, 0), FIRST: Share(0, 0)}
    after = {ENGINE: Share(1 * MS, 0), FIRST: Share(5 * MS, 36 * MS)}
    assert waited_ms(ENGINE, 21, before, after) == 21 - (1 + 5)
    assert waited_ms(ENGINE, 5.5, before, after) == 0, "clocks of two kinds differ a little"


def test_who_came_or_went_is_not_counted_and_without_the_engine_nothing_is_known() -> None:
    engine = {ENGINE: Share(0, 0)}
    assert waited_ms(ENGINE, 50, engine | {FIRST: Share(0, 0)}, engine | {SECOND: Share(0, 9 * MS)}) == 0
    assert waited_ms(ENGINE, 50, engine, {FIRST: Share(0, 0)}) is None
    assert waited_ms(ENGINE, 50, {}, {}) is None


def test_shares_are_read_of_processes_that_are_there() -> None:
    shares = read_shares([os.getpid(), 1 << 30])
    assert set(shares) == ({os.getpid()} if Path("/proc/self/schedstat").exists() else set())
    assert all(share.ran > 0 and share.waited >= 0 for share in shares.values())


def test_the_p99_without_waits_decides() -> None:
    for slow, held in ((9, True), (20, False)):
        seen = run_of([frame(1)] * (1000 - slow) + [frame(9)] * slow)
        metrics = measure(seen)
        assert (metrics[Metric.FRAME_OWN_P99_MS] == 1) is held
        assert judge(seen, metrics)[Assertion.FRAMES_IN_TIME] is held


def test_a_machine_that_has_no_processor_to_give_fails_nothing_and_is_shown() -> None:
    seen = run_of([frame(1)] * 900 + [frame(20, waited_ms=18.0)] * 100)
    result = Result.of(seen)
    assert (result.metrics[Metric.FRAME_P99_MS], result.metrics[Metric.FRAME_OWN_P99_MS]) == (20, 2)
    assert result.assertions[Assertion.FRAMES_IN_TIME] is True
    text = render(result)
    assert "Frames*, p99: 20.00ms (reported; budget: < 8ms) ⚠" in text
    assert "Frames*, p99 without waits: 2.00ms (threshold: < 8ms) ✓" in text
    assert "⚠ 100 of 1000 took 16.7 ms or longer, 0 without waits" in text


def test_the_worst_frame_is_reported_and_decides_nothing() -> None:
    seen = run_of([frame(1)] * 999 + [frame(40, second=7.0)])
    metrics = measure(seen)
    worst_frame = thresholds(seen)[Metric.FRAME_WORST_MS]
    assert metrics[Metric.FRAME_WORST_MS] == 40
    assert not worst_frame.holds(metrics[Metric.FRAME_WORST_MS])
    assert worst_frame.document() == {"below": 16.7, "binding": False}
    assert judge(seen, metrics)[Assertion.FRAMES_IN_TIME] is True
    text = render(Result.of(seen))
    assert "Frames*, worst: 40.00ms (reported; budget: < 16.7ms) ⚠" in text
    assert "⚠ 1 of 1000 took 16.7 ms or longer, 1 without waits" in text
    assert "✓ frames_in_time" in text


def test_a_load_or_a_loss_counts_against_no_budget() -> None:
    excepted = [frame(900, Cause.LOAD), frame(800, Cause.LOSS)]
    seen = run_of([frame(1)] * 10 + excepted * 10)
    metrics = measure(seen)
    assert (metrics[Metric.FRAME_OWN_P99_MS], metrics[Metric.FRAME_WORST_MS]) == (1, 1)
    assert judge(seen, metrics)[Assertion.FRAMES_IN_TIME] is True
    assert len(frames_document(seen)["loads_and_losses"]) == 20


def test_a_split_or_a_collection_does() -> None:
    for cause in (Cause.SPLIT, Cause.COLLECTION, Cause.SPAWN):
        assert measure(run_of([frame(1), frame(70, cause)]))[Metric.FRAME_WORST_MS] == 70


def test_a_run_that_ended_early_is_not_in_time() -> None:
    seen = run_of([frame(1)] * 1000)
    seen.phases[5].check = None
    assert judge(seen, measure(seen))[Assertion.FRAMES_IN_TIME] is False


@pytest.mark.parametrize(("entities", "held"), [(BUDGETED_ENTITIES, False), (BUDGETED_ENTITIES + 1, None)])
def test_budgets_are_for_a_hundred_thousand_entities_at_most(entities: int, held: bool | None) -> None:
    seen = run_of([frame(60)] * 100, entities)
    result = Result.of(seen)
    assert result.assertions[Assertion.FRAMES_IN_TIME] is held
    assert result.thresholds[Metric.FRAME_OWN_P99_MS].binding is (held is not None)
    text = render(result)
    assert ("✗ frames_in_time" in text) is (held is False)
    assert ("– frames_in_time: reported above, decides nothing for 100001 entities" in text) is (held is None)
    assert ("p99 without waits: 60.00ms (reported; budget: < 8ms) ⚠" in text) is (held is None)


def test_what_says_nothing_about_a_run_does_not_fail_it() -> None:
    seen = run_of([frame(60)] * 100, BUDGETED_ENTITIES + 1)
    result = Result.of(seen)
    others = dict.fromkeys(result.assertions, True)
    assert Result(seen, result.metrics, result.thresholds, others | {Assertion.FRAMES_IN_TIME: None}).passed
    assert not Result(seen, result.metrics, result.thresholds, others | {Assertion.NO_CRASHES: False}).passed


def test_the_section_fits_80_columns_and_names_what_happened() -> None:
    frames = [
        frame(999.99, Cause.LOAD, Cause.SPLIT, second=149.99, waited_ms=None),
        frame(40, Cause.SPLIT, second=50.0, waited_ms=19.5),
    ]
    for entities in (100, 1_000_000):
        lines = list(frames_text(run_of(frames + [frame(1)] * 9000, entities)))
        assert max(map(len, lines)) <= 80
        (worst_line,) = (line for line in lines if line.endswith(" split") and "50.00s" in line)
        assert worst_line.split() == ["50.00s", "40.00", "20.00", "0.25", "0.50", "0.12", "0.00", "19.50", "split"]
        (load_line,) = (line for line in lines if line.endswith("load, split"))
        assert load_line.split()[-3] == "–", "what was not measured is not zero"


def test_the_document_says_the_same() -> None:
    document = frames_document(run_of([frame(40, Cause.SPLIT, second=50.0, waited_ms=19.5), *[frame(1)] * 7]))
    assert (document["over_budget"], document["over_budget_without_waits"]) == (1, 1)
    assert document["all"] == document["without_load_or_loss"]
    assert document["without_load_or_loss_or_waits"]["max_ms"] == 20.5
    assert document["by_cause"]["tick_only"] == {"count": 7, "p50_ms": 1, "p99_ms": 1, "max_ms": 1}
    assert len(document["worst"]) == 5
    assert document["worst"][0] == {
        "second": 50.0,
        "ms": 40,
        "tick_ms": 20,
        "stages": {"checkpoint": 0.25, "work": 0.5, "commit": 0.125, "collect": 0.0},
        "waited_ms": 19.5,
        "causes": ["split"],
    }
    assert document["worst"][1]["causes"] == []
    assert document["loads_and_losses"] == []


def test_of_no_frames_nothing_is_claimed() -> None:
    seen = Seen(100, 60, InjectedKind.RAISE, phases())
    assert "✗ No frame was measured" in list(frames_text(seen))
    assert frames_document(seen)["all"] is None
    assert frames_document(seen)["worst"] == []
