"""Each assertion of the scenario, broken for real: the run then says FAILED, and says why.

Nothing here is pretended: versions are packages that are found and loaded, parts come through the hooks, and
workers are killed by SIGKILL.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from grove_core.base.ticks import Stage
from grove_core.parts.discovery import records_in
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice, Settings
from grove_core.scenario.coexistence import Coexistence
from grove_core.scenario.frames import Cause, loads_and_losses, ordinary, worst
from grove_core.scenario.metrics import Assertion, Metric
from grove_core.scenario.report import render
from grove_core.scenario.seen import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from packaging.version import Version

    from grove_core.base.records import VersionUse
    from grove_core.debug import DebugEngine
    from grove_core.parts.contracts import Population
    from grove_core.scenario.live import AfterTick
    from grove_core.scenario.result import Result

pytestmark = [pytest.mark.timeout(300)]
TICKS_PER_SECOND = 6

V1 = """
import time
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", constant=("vx", "vy"))

    def initialize(self, config):
        {initialize}

    def process(self, dt):
        e = self.entities
        e.x += e.vx * dt
        e.y += e.vy * dt
"""
V2 = """
import mmap, os, time
import numpy as np
from grove_core import Add, Lens, Module, Schema

class Main(Module):
    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", collided="?", constant=("vx", "vy"))
    lenses = [Lens("==1.*", "==2.*", [Add("collided")])]

    def initialize(self, config):
        {initialize}

    def process(self, dt):
        e = self.entities
        e.x += e.vx * dt
        e.y += e.vy * dt
        e.collided = (e.x < 0) | (e.x > 1000) | (e.y < 0) | (e.y > 1000)
        {process}
"""
V3 = """
import time
from grove_core import Add, Column, Lens, Module, Schema

class Main(Module):
    schema = Schema(x="f4", y="f4", vx="f4", vy="f4", collided="?", mass=Column("f4", default=1.0))
    lenses = [Lens("==2.*", "==3.*", [Add("mass")])]

    def initialize(self, config):
        {initialize}

    def process(self, dt):
        pass
"""


@pytest.fixture
def instead(package: Any, installed: Any) -> Callable[..., object]:
    """`instead(version, source, initialize=..., process=...)`: a plugin that finds this package.

    Its version is a little above the real one's, so that it is chosen for the same major number.
    """

    def make(version: str, source: str, **lines: str) -> object:
        text = source.format(**{"initialize": "pass", "process": "pass", **lines})
        return installed(package("gamelogic", version, text, distribution=f"gamelogic-broken-{version}"))

    return make


def run(**options: Any) -> Result:
    return Coexistence(ticks_per_second=TICKS_PER_SECOND, **options).run()


def assert_broken(result: Result, broken: Assertion, *unharmed: Assertion) -> str:
    text = render(result)
    assert result.assertions[broken] is False, text
    assert f"✗ {broken.value}" in text
    assert not result.passed
    assert result.document()["result"] == "FAILED"
    assert "❌ FAILED" in text
    for assertion in unharmed:
        assert result.assertions[assertion] is True, f"{assertion}\n{text}"
    return text


class Sloppy:
    """A router that sends a part of the first version's share to the last one."""

    def __init__(self, versions: int, percent: int) -> None:
        self.versions = versions
        self.percent = percent

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        counts = quota.copy()
        if len(counts) == self.versions:
            excess = min(len(population.ids) * self.percent // 100, int(counts[0]))
            counts[0] -= excess
            counts[-1] += excess
        target = np.empty(len(population.ids), np.int32)
        target[np.argsort(population.ids)] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return target


class Never:
    """A collection policy that collects nothing."""

    def __init__(self, unused_threshold_seconds: float) -> None:
        self.threshold = unused_threshold_seconds

    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        return ()


class Hasty(Never):
    """A collection policy that does not wait as long as it was told to."""

    def collect(self, uses: Sequence[VersionUse], now: float) -> Iterable[Version]:
        return [u.version for u in uses if u.idle_since is not None and now - u.idle_since >= self.threshold / 2]


class Slow:
    """A router that takes its time."""

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        time.sleep(0.03)
        return np.repeat(np.arange(len(quota), dtype=np.int32), quota)


class Parts:
    """A plugin that registers the parts above."""

    @hookimpl
    def grove_register_routers(self) -> Mapping[str, Any]:
        return {"sloppy": Sloppy, "slow": Slow}

    @hookimpl
    def grove_register_gc_policies(self) -> Mapping[str, Any]:
        return {"never": Never, "hasty": Hasty}


def killing(major: int, second: int) -> AfterTick:
    """Return an observer that kills a version's worker once, at a second of the simulated time."""

    def observe(engine: DebugEngine, ticks: int) -> None:
        if ticks == second * TICKS_PER_SECOND:
            (pid,) = (pid for version, pid in engine.workers("gamelogic").items() if version.major == major)
            os.kill(pid, signal.SIGKILL)

    return observe


@pytest.mark.needs(1, 2)
def test_without_v3_there_is_no_traceback() -> None:
    there = {record.version.major for record in records_in(None) if record.module == "gamelogic" and record.version}
    if 3 in there:
        pytest.skip("gamelogic 3 is installed")
    result = run()
    text = assert_broken(result, Assertion.MULTI_VERSION_LOADING, Assertion.ROLLBACK_FAST_AND_SAFE)
    assert not result.assertions[Assertion.THREE_WAY_COEXISTENCE]
    assert "UnknownVersion" in (result.seen.phases[Phase.THREE_WAY].error or "")
    assert "UnknownVersion" in text


@pytest.mark.needs(1)
def test_without_v2_and_v3_the_canary_fails() -> None:
    there = {record.version.major for record in records_in(None) if record.module == "gamelogic" and record.version}
    if 2 in there:
        pytest.skip("gamelogic 2 is installed")
    result = run()
    text = assert_broken(result, Assertion.CANARY_DEPLOYMENT_ACCURATE)
    assert result.seen.phases[Phase.BASELINE].complete
    assert text.count("Not run") == 4


@pytest.mark.needs(1, 2, 3)
def test_multi_version_loading(instead: Callable[..., object]) -> None:
    plugin = instead("3.0.1", V3, initialize="raise RuntimeError('no physics today')")
    result = run(plugins=[plugin])
    text = assert_broken(
        result,
        Assertion.MULTI_VERSION_LOADING,
        Assertion.CANARY_DEPLOYMENT_ACCURATE,
        Assertion.PROGRESSIVE_MIGRATION_NO_LOSS,
        Assertion.AUTO_GC_TRIGGERED,
        Assertion.ROLLBACK_FAST_AND_SAFE,
    )
    assert "no physics today" in text
    assert result.metrics[Metric.MULTI_VERSION_COUNT] == 2
    assert result.seen.phases[Phase.THREE_WAY].check is None


@pytest.mark.needs(1, 2, 3)
def test_multi_version_loading_that_takes_too_long(instead: Callable[..., object]) -> None:
    result = run(plugins=[instead("2.0.1", V2, initialize="time.sleep(0.25)")])
    assert_broken(result, Assertion.MULTI_VERSION_LOADING, Assertion.NO_CRASHES, Assertion.THREE_WAY_COEXISTENCE)


@pytest.mark.needs(1, 2, 3)
def test_canary_deployment_accurate() -> None:
    settings = Settings(router=Choice("sloppy", {"versions": 2, "percent": 5}))
    result = run(settings=settings, plugins=[Parts()])
    text = assert_broken(result, Assertion.CANARY_DEPLOYMENT_ACCURATE, Assertion.NO_CRASHES)
    assert result.metrics[Metric.CANARY_ACCURACY] == 15
    assert "v2: 15 entities (15.0%) ✗" in text


@pytest.mark.needs(1, 2, 3)
def test_canary_deployment_within_two_percent_is_still_not_exact() -> None:
    settings = Settings(router=Choice("sloppy", {"versions": 2, "percent": 1}))
    result = run(settings=settings, plugins=[Parts()])
    assert_broken(result, Assertion.CANARY_DEPLOYMENT_ACCURATE, Assertion.NO_CRASHES)
    assert result.metrics[Metric.CANARY_ACCURACY] == 11


@pytest.mark.needs(1, 2, 3)
def test_the_modulo_router_is_not_exact_for_seven() -> None:
    result = run(entities=7, settings=Settings(router=Choice("modulo")))
    assert_broken(
        result,
        Assertion.CANARY_DEPLOYMENT_ACCURATE,
        Assertion.TOTAL_ENTITIES_CONSTANT,
        Assertion.NO_CRASHES,
    )
    assert not result.assertions[Assertion.TRAFFIC_ROUTING_PRECISE]


@pytest.mark.needs(1, 2, 3)
def test_progressive_migration_no_loss(instead: Callable[..., object]) -> None:
    plugin = instead("2.0.1", V2, process="if len(e) == 30 and 7 in e.id: e.despawn([7])")
    result = run(plugins=[plugin, _SendsSevenFirst()], settings=Settings(router=Choice("seven_first")))
    text = assert_broken(result, Assertion.PROGRESSIVE_MIGRATION_NO_LOSS, Assertion.CANARY_DEPLOYMENT_ACCURATE)
    assert result.metrics[Metric.MIGRATION_DATA_LOSS] == 1
    assert "1 entities are missing" in text


class _SendsSevenFirst:
    """A plugin with a router that is exact, and in which entity 7 is among the first to go to v2."""

    def __init__(self) -> None:
        self.router = self

    def route(self, population: Population, quota: NDArray[np.int64]) -> NDArray[np.int32]:
        target = np.empty(len(population.ids), np.int32)
        order = np.argsort(np.where(population.ids == 7, 1 << 40, population.ids))
        target[order] = np.repeat(np.arange(len(quota), dtype=np.int32), quota)
        return target

    @hookimpl
    def grove_register_routers(self) -> Mapping[str, Any]:
        return {"seven_first": lambda: self.router}


@pytest.mark.needs(1, 2, 3)
def test_progressive_migration_with_ticks_that_are_too_slow(instead: Callable[..., object]) -> None:
    plugin = instead("2.0.1", V2, process="time.sleep(0.018 if len(e) > 20 else 0)")
    result = run(plugins=[plugin])
    assert_broken(result, Assertion.PROGRESSIVE_MIGRATION_NO_LOSS, Assertion.TOTAL_ENTITIES_CONSTANT)
    ramp = result.metrics[Metric.RAMP_TICK_P99_MS]
    assert ramp is not None
    assert ramp > 18


@pytest.mark.needs(1, 2, 3)
def test_rollback_fast_and_safe() -> None:
    result = run(settings=Settings(fault_policy=Choice("pause")))
    text = assert_broken(
        result,
        Assertion.ROLLBACK_FAST_AND_SAFE,
        Assertion.AUTO_GC_TRIGGERED,
        Assertion.PROGRESSIVE_MIGRATION_NO_LOSS,
    )
    assert "No rollback happened" in text
    assert result.metrics[Metric.ROLLBACK_TIME_MS] is None
    assert result.metrics[Metric.STATE_RECOVERY] is None


@pytest.mark.needs(1, 2, 3)
def test_rollback_that_is_slow(instead: Callable[..., object]) -> None:
    result = run(plugins=[instead("1.0.1", V1, initialize="time.sleep(0.25)")])
    assert_broken(result, Assertion.ROLLBACK_FAST_AND_SAFE, Assertion.NO_CRASHES)
    rollback = result.metrics[Metric.ROLLBACK_TIME_MS]
    assert rollback is not None
    assert rollback > 250


@pytest.mark.needs(1, 2, 3)
def test_memory_isolation_complete_by_a_value_that_is_one_bit_off(instead: Callable[..., object]) -> None:
    plugin = instead("2.0.1", V2, process="e.x[e.id == 50] = np.nextafter(e.x[e.id == 50], np.float32(2000))")
    result = run(plugins=[plugin])
    text = assert_broken(
        result,
        Assertion.MEMORY_ISOLATION_COMPLETE,
        Assertion.TRAFFIC_ROUTING_PRECISE,
        Assertion.TOTAL_ENTITIES_CONSTANT,
        Assertion.NO_CRASHES,
    )
    assert result.metrics[Metric.MEMORY_ISOLATION] == 99
    assert "x differs in 1 of 100 entities" in text


@pytest.mark.needs(1, 2, 3)
def test_memory_isolation_complete_by_a_foreign_area(instead: Callable[..., object]) -> None:
    lines = "fd = os.memfd_create('mine'); os.ftruncate(fd, 4096); self.area = mmap.mmap(fd, 4096)"
    result = run(plugins=[instead("2.0.1", V2, initialize=lines)])
    text = assert_broken(
        result,
        Assertion.MEMORY_ISOLATION_COMPLETE,
        Assertion.CANARY_DEPLOYMENT_ACCURATE,
        Assertion.ROLLBACK_FAST_AND_SAFE,
        Assertion.THREE_WAY_COEXISTENCE,
    )
    assert "/memfd:mine" in text


@pytest.mark.needs(1, 2, 3)
def test_auto_gc_triggered_never() -> None:
    result = run(settings=Settings(gc_policy=Choice("never")), plugins=[Parts()])
    text = assert_broken(
        result,
        Assertion.AUTO_GC_TRIGGERED,
        Assertion.PROGRESSIVE_MIGRATION_NO_LOSS,
        Assertion.NO_CRASHES,
        Assertion.THREE_WAY_COEXISTENCE,
    )
    assert "✗ v1 was not unloaded automatically" in text


@pytest.mark.needs(1, 2, 3)
def test_auto_gc_triggered_too_early() -> None:
    result = run(settings=Settings(gc_policy=Choice("hasty")), plugins=[Parts()])
    assert_broken(result, Assertion.AUTO_GC_TRIGGERED, Assertion.NO_CRASHES)
    assert result.metrics[Metric.GC_TRIGGER_TIME_S] == 5


@pytest.mark.needs(1, 2, 3)
def test_three_way_coexistence() -> None:
    result = run(after_tick=killing(3, 130))
    text = assert_broken(
        result,
        Assertion.THREE_WAY_COEXISTENCE,
        Assertion.ROLLBACK_FAST_AND_SAFE,
        Assertion.TRAFFIC_ROUTING_PRECISE,
        Assertion.TOTAL_ENTITIES_CONSTANT,
    )
    assert "✗ v3, death" in text


@pytest.mark.needs(1, 2, 3)
def test_traffic_routing_precise() -> None:
    settings = Settings(router=Choice("sloppy", {"versions": 3, "percent": 4}))
    result = run(settings=settings, plugins=[Parts()])
    assert_broken(
        result,
        Assertion.TRAFFIC_ROUTING_PRECISE,
        Assertion.CANARY_DEPLOYMENT_ACCURATE,
        Assertion.TOTAL_ENTITIES_CONSTANT,
        Assertion.NO_CRASHES,
    )
    assert result.metrics[Metric.TRAFFIC_SPLIT_ACCURACY] == 4


@pytest.mark.needs(1, 2, 3)
@pytest.mark.parametrize(
    ("line", "total"),
    [
        ("if 7 in e.id: e.despawn([7])", 99),
        ("self.n = getattr(self, 'n', 0) + 1; len(e) == 10 and self.n == 9 and e.spawn(x=[1.0])", 101),
    ],
    ids=["one fewer", "one more"],
)
def test_total_entities_constant(instead: Callable[..., object], line: str, total: int) -> None:
    result = run(plugins=[instead("2.0.1", V2, process=line)])
    assert_broken(result, Assertion.TOTAL_ENTITIES_CONSTANT)
    assert result.metrics[Metric.TOTAL_ENTITIES] == total


@pytest.mark.needs(1, 2, 3)
@pytest.mark.parametrize("second", [5, 95, 110], ids=["v1 alone", "v2 alone", "v1 after the rollback"])
def test_no_crashes(second: int) -> None:
    result = run(after_tick=killing(2 if second == 95 else 1, second))
    text = assert_broken(result, Assertion.NO_CRASHES)
    assert "death" in text
    assert all(check.right == check.total == 100 for check in result.seen.checks), "nothing is lost all the same"


@pytest.mark.needs(1, 2, 3)
def test_no_crashes_a_kill_in_the_canary_loses_no_entity() -> None:
    result = run(after_tick=killing(2, 20))
    assert_broken(result, Assertion.NO_CRASHES)
    check = result.seen.phases[Phase.CANARY].check
    assert check is not None
    assert (check.lost, check.right) == (0, 100)


@pytest.mark.needs(1, 2, 3)
def test_frames_in_time(instead: Callable[..., object]) -> None:
    result = run(plugins=[instead("2.0.1", V2, process="time.sleep(0.03 if len(e) == 10 else 0)")])
    others = [assertion for assertion in Assertion if assertion is not Assertion.FRAMES_IN_TIME]
    text = assert_broken(result, Assertion.FRAMES_IN_TIME, *others)
    p99 = result.metrics[Metric.FRAME_OWN_P99_MS]
    assert p99 is not None
    assert p99 > 29, "the wait to wake up from the sleep is taken off"
    shown = [frame.stages[Stage.WORK] for frame in worst(ordinary(result.seen.frames))]
    assert max(shown) > 30, "it says where the time went; a busy machine may add frames of its own"
    assert result.document()["frames"]["over_budget"] >= 239, "every tick of the canary but the one with its load"
    assert "took 16.7 ms or longer" in text


@pytest.mark.needs(1, 2, 3)
def test_one_late_frame_is_reported_and_fails_nothing(instead: Callable[..., object]) -> None:
    lines = "self.n = getattr(self, 'n', 0) + (len(e) == 10); time.sleep(0.1 if len(e) == 10 and self.n == 61 else 0)"
    result = run(plugins=[instead("2.0.1", V2, process=lines)])
    assert result.assertions[Assertion.FRAMES_IN_TIME] is True, render(result)
    reported = result.metrics[Metric.FRAME_WORST_MS]
    assert reported is not None
    assert reported > 100
    assert any(frame.second == 20.0 and frame.ms > 100 for frame in worst(ordinary(result.seen.frames)))
    assert "(reported; budget: < 16.7ms) ⚠" in render(result)


@pytest.mark.needs(1, 2, 3)
def test_a_slow_load_is_shown_and_is_against_no_budget(instead: Callable[..., object]) -> None:
    result = run(plugins=[instead("2.0.1", V2, initialize="time.sleep(0.15)")])
    assert result.assertions[Assertion.FRAMES_IN_TIME] is True, render(result)
    shown = {frame.second: frame for frame in loads_and_losses(result.seen.frames)}
    assert list(shown) == [0.0, 10.0, 100.0, 120.0]
    assert shown[10.0].ms - shown[10.0].tick_ms > 150
    assert " 10.00s" in render(result)


@pytest.mark.needs(1, 2, 3)
def test_what_a_split_takes_before_the_tick_is_in_its_frame() -> None:
    result = run(settings=Settings(router=Choice("slow")), plugins=[Parts()])
    splits = [frame for frame in ordinary(result.seen.frames) if Cause.SPLIT in frame.causes]
    assert [frame.second for frame in splits] == [50.0, 60.0, 70.0, 80.0]
    assert all(frame.ms - frame.tick_ms > 30 for frame in splits)


@pytest.mark.needs(1, 2, 3)
def test_what_the_program_does_between_ticks_is_in_no_frame() -> None:
    def dawdle(engine: DebugEngine, ticks: int) -> None:
        if ticks % 300 == 0:
            time.sleep(2)

    result = run(after_tick=dawdle)
    assert max(frame.ms for frame in result.seen.frames) < 2000


@pytest.mark.needs(1, 2, 3)
def test_a_loss_that_nobody_planned_is_among_the_frames_that_are_shown() -> None:
    result = run(after_tick=killing(2, 20))
    (lost,) = (frame for frame in result.seen.frames if frame.second == 20.0)
    assert lost.causes == (Cause.LOSS,), "v1 was loaded still"
    assert lost in loads_and_losses(result.seen.frames)
