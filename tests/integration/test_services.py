"""Versions call services of modules that they need: across processes, in the same tick, whoever owns the entity."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from grove_core import DebugEngine, GroveError, ManualClock
from grove_core.base.events import EventKind
from grove_core.base.records import FaultKind
from grove_core.parts.settings import Choice
from grove_core.runtime.orders import services
from grove_core.runtime.ticking import tick as ticking

from ..conftest import InstalledIn, write_package
from ..striking import ctrl_c, error, places_of, strike
from .conftest import PATIENT, OpenEngine, Shared
from .depending import Sources, folders_of
from .patched import Code, code

__all__ = ["code"]

V1, V2 = Version("1.0.0"), Version("2.0.0")
Open = Callable[..., DebugEngine]

BANK = """
import os, pathlib, signal, time
import numpy as np
from grove_core import Add, Column, Lens, Module, Needs, Schema, service

class Main(Module):
    schema = Schema(gold=Column("f8", default=7.5), ticks="i8")
    {top}

    def process(self, dt):
        self.entities.gold += 1
        self.entities.ticks += 1

    @service
    def gold(self, ids):
        {gold}

    @service
    def worth(self, ids, times, *, bonus=0.0):
        return {{"worth": self.entities.gold * times + bonus, "unknown": self.unknown, "who": ids}}, times

    @service
    def richest(self, least=0.0):
        e = self.entities
        return {{"count": len(e), "version": self.get_version(), "most": float(e.gold.max(initial=least))}}
"""
SHOP = """
import numpy as np
from grove_core import GroveError, Lens, Module, Needs, Schema

class Main(Module):
    schema = Schema(owner="i8", seen="f8", calls="i8")
    bank = Needs("bank>=1")
    {top}

    def process(self, dt):
        e = self.entities
        {process}
        e.calls += 1
"""
SEE = "e.seen = self.bank.gold(e.owner)"
GO_ON = f"""
try:
    {SEE}
except GroveError as error:
    assert "bank.gold(ids) was not answered" in str(error), error
    e.seen = -1.0
"""
"""A caller that goes on without an answer."""
LENS = 'lenses = [Lens("<2", ">=2", [])]'
GOLD = "return self.entities.gold"
SPIN = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nwhile True: pass"


def bank(gold: str = GOLD, top: str = "") -> str:
    return BANK.format(gold=_indented(gold), top=top)


def shop(process: str = SEE, top: str = "") -> str:
    return SHOP.format(process=_indented(process), top=top)


def _indented(statements: str) -> str:
    return statements.strip().replace("\n", "\n        ")


@pytest.fixture
def opened(open_engine: OpenEngine, package: Any, installed: Any) -> Open:
    def make(sources: Sources, **settings: Any) -> DebugEngine:
        found = installed(*folders_of(package, sources))
        return open_engine({}, settings=msgspec.structs.replace(PATIENT, **PATIENTLY | settings), plugins=(found,))

    return make


GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
SERVICES = Path(services.__file__)
PATIENTLY = {"service_deadline_ms": 20_000.0}
"""As with other limits: no slow machine reaches it."""


def both(engine: DebugEngine, entities: int = 6) -> np.ndarray:
    """Load version 1 of both, and spawn; each shop is of one entity of the bank. Returns these."""
    engine.load_module_version("bank", 1)
    engine.load_module_version("shop", 1)
    owners = engine.spawn("bank", gold=np.arange(entities) * 10.0)
    engine.spawn("shop", owner=owners[::-1])
    return owners


def canary(engine: DebugEngine, weight: float = 0.3) -> None:
    engine.load_module_version("bank", 2)
    engine.set_traffic_split("bank", {1: 1 - weight, 2: weight})


def seen(engine: DebugEngine) -> dict[int, float]:
    """Return what each shop saw last, by its owner."""
    found = engine.entities("shop")
    return dict(zip(found["owner"].tolist(), found["seen"].tolist(), strict=True))


def gold(engine: DebugEngine) -> dict[int, float]:
    found = engine.entities("bank")
    return dict(zip(found["id"].tolist(), found["gold"].tolist(), strict=True))


def test_a_call_is_answered_in_the_same_tick_with_what_that_tick_committed(opened: Open) -> None:
    engine = opened({"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop()}})
    owners = both(engine)
    for tick in (1, 2, 3):
        report = engine.tick(0.1)
        assert (report.faults, report.skipped) == ((), 0)
        assert seen(engine) == gold(engine) == {int(one): 10.0 * n + tick for n, one in enumerate(owners)}
    metrics = engine.get_version_metrics("bank", 1)
    assert metrics.service_calls >= 3
    assert metrics.avg_service_ms is not None


def test_the_example_of_the_guide_runs_as_it_stands(opened: Open) -> None:
    example = GUIDE.read_text().partition("### Services\n")[2].partition("```\n")[2].partition("```\n")[0]
    engine = opened({name: {"1.0.0": f"{example}\nMain = {name.title()}\n"} for name in ("bank", "shop")})
    engine.load_module_version("shop", 1)
    owners = engine.spawn("bank", gold=[1.0, 2.0, 3.0])
    engine.spawn("shop", owner=owners)
    assert engine.tick(1.0).faults == ()
    assert engine.entities("shop")["can"].tolist() == [False, True, True]


def test_what_a_handle_requires_counts_as_any_requirement(opened: Open) -> None:
    engine = opened({"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop()}})
    engine.load_module_version("shop", 1)
    assert engine.is_version_loaded("bank", 1), "it was pulled in"
    assert [(one.requirement, one.base) for one in engine.dependencies("shop")] == [("bank>=1", "bank")]
    engine.spawn("shop", owner=1)
    assert engine.tick(0.1).levels == (("bank",), ("shop",))


def test_the_version_that_owns_an_entity_answers_and_stable_for_all_else(opened: Open) -> None:
    process = """
answer, times = self.bank.worth(e.owner, np.arange(len(e)), bonus=0.5)
assert (answer["who"] == e.owner).all() and (times == np.arange(len(e))).all()
assert (answer["worth"] == abs(self.bank.gold(e.owner)) * times + 0.5).all()
e.seen = self.bank.gold(e.owner) + 1000 * answer["unknown"]
assert self.bank.richest(least=-1.0)["version"] == "1.0.0"
"""
    engine = opened(
        {
            "bank": {"1.0.0": bank(), "2.0.0": bank("return -self.entities.gold", LENS)},
            "shop": {"1.0.0": shop(process)},
        }
    )
    owners = both(engine, 20)
    engine.spawn("shop", owner=[10**6, -1])
    canary(engine, 0.5)
    assert engine.tick(0.1).faults == ()
    located = dict(zip(owners.tolist(), engine.locate("bank", owners), strict=True))
    assert set(located.values()) == {V1, V2}
    whole = gold(engine)
    expected = {one: whole[one] if version == V1 else -whole[one] for one, version in located.items()}
    assert seen(engine) == {**expected, 10**6: 1007.5, -1: 1007.5}


def test_an_entity_may_be_asked_about_several_times_and_nobody_at_all(opened: Open) -> None:
    process = """
twice = np.concatenate([e.owner, e.owner[::-1]])
e.seen = self.bank.gold(twice)[len(e):][::-1]
assert self.bank.gold(e.owner[:0]).dtype == np.float64 and not len(self.bank.gold([]))
"""
    engine = opened({"bank": {"1.0.0": bank(), "2.0.0": bank(top=LENS)}, "shop": {"1.0.0": shop(process)}})
    both(engine, 10)
    canary(engine)
    assert engine.tick(0.1).faults == ()
    assert seen(engine) == gold(engine)


def test_services_can_be_called_while_a_version_is_made_ready(opened: Open) -> None:
    top = "def initialize(self, config): self.first = self.bank.richest()['count']"
    engine = opened({"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop("e.seen = self.first", top)}})
    engine.load_module_version("bank", 1)
    engine.spawn("bank", gold=[1.0, 2.0, 3.0])
    engine.load_module_version("shop", 1)
    engine.spawn("shop", owner=1)
    assert engine.tick(0.1).faults == ()
    assert set(seen(engine).values()) == {3.0}


def test_services_call_services_of_what_their_module_needs(opened: Open) -> None:
    middle = bank("return self.vault.gold(ids) * 100 + self.entities.gold", 'vault = Needs("vault")')
    engine = opened({"vault": {"1.0.0": bank()}, "bank": {"1.0.0": middle}, "shop": {"1.0.0": shop()}})
    owners = both(engine, 3)
    engine.spawn("vault", id=owners, gold=[1.0, 2.0, 3.0])
    report = engine.tick(0.1)
    assert report.faults == ()
    assert report.levels == (("vault",), ("bank",), ("shop",))
    assert sorted(seen(engine).values()) == [200.0 + 1.0, 300.0 + 11.0, 400.0 + 21.0]


FAILING = {
    "raise": ("raise ValueError('no such vault')", FaultKind.RAISE, "no such vault"),
    "death": ("os.kill(os.getpid(), signal.SIGKILL)", FaultKind.DEATH, "SIGKILL"),
    "hang": (SPIN, FaultKind.DEADLINE, "service_deadline_ms"),
    "length": ("return self.entities.gold[:-1]", FaultKind.RAISE, "one value for each"),
    "kind": ("return [object() for _ in ids]", FaultKind.RAISE, "one value for each"),
    "write": ("self.entities.gold += 1", FaultKind.RAISE, "read-only"),
    "spawn": (f"self.entities.spawn()\n{GOLD}", FaultKind.RAISE, "changes nothing"),
    "document": (f"self.mark_state_changed()\n{GOLD}", FaultKind.RAISE, "changes nothing"),
}


@pytest.mark.parametrize("way", FAILING)
def test_a_canary_that_fails_at_an_answer_is_rolled_back_at_once_and_stable_answers(opened: Open, way: str) -> None:
    """The caller is not to blame, and notices nothing but the time that it took."""
    statements, kind, said = FAILING[way]
    engine = opened(
        {"bank": {"1.0.0": bank(), "2.0.0": bank(statements, LENS)}, "shop": {"1.0.0": shop()}},
        service_deadline_ms=50.0 if way == "hang" else 20_000.0,
    )
    owners = both(engine, 10)
    canary(engine)
    report = engine.tick(0.1)
    assert [(fault.module, fault.version, fault.kind) for fault in report.faults if fault.version != V1] == [
        ("bank", V2, kind)
    ]
    assert said in next(fault.message for fault in report.faults if fault.version == V2)
    assert (report.entities, report.skipped) == (20, 0)
    assert set(engine.locate("bank", owners)) == {V1}
    assert seen(engine) == gold(engine) == {int(one): 10.0 * n + 1 for n, one in enumerate(owners)}
    assert set(engine.entities("bank")["ticks"].tolist()) == {1}, "nobody had a tick twice"
    engine.tick(0.1)
    assert seen(engine) == gold(engine)


def test_what_a_version_asked_for_in_its_tick_is_done_though_it_fails_at_an_answer_later(opened: Open) -> None:
    born = bank("raise ValueError('always')", LENS).replace(
        "self.entities.ticks += 1", "self.entities.ticks += 1\n        self.entities.spawn(gold=0.25)"
    )
    engine = opened({"bank": {"1.0.0": bank(), "2.0.0": born}, "shop": {"1.0.0": shop()}})
    both(engine, 10)
    canary(engine)
    assert [fault.version for fault in engine.tick(0.1).faults] == [V2]
    assert sorted(engine.entities("bank")["gold"].tolist()) == [0.25, *(10.0 * n + 1 for n in range(10))]


def test_stable_that_dies_by_chance_is_restarted_and_answers_then(opened: Open, tmp_path: Path) -> None:
    once = f"""
told = pathlib.Path({str(tmp_path / "told")!r})
if not told.exists():
    told.touch()
    os._exit(9)
{GOLD}
"""
    engine = opened({"bank": {"1.0.0": bank(once)}, "shop": {"1.0.0": shop()}})
    (tmp_path / "told").touch()
    both(engine)
    (tmp_path / "told").unlink()
    report = engine.tick(0.1)
    assert [(fault.module, fault.kind) for fault in report.faults] == [("bank", FaultKind.DEATH)]
    assert (report.entities, report.skipped) == (12, 0)
    assert seen(engine) == gold(engine)
    assert [event.kind for event in engine.events if event.kind is EventKind.RESTARTED] == [EventKind.RESTARTED]


def test_what_stable_raises_is_raised_in_the_caller_and_no_fault_of_stable(opened: Open) -> None:
    """A caller that asks nonsense must not be able to bring down what it needs."""
    engine = opened(
        {
            "bank": {"1.0.0": bank("raise ValueError('always')")},
            "shop": {"1.0.0": shop(GO_ON), "2.0.0": shop(top=LENS)},
        }
    )
    both(engine)
    report = engine.tick(0.1)
    assert (report.faults, report.entities) == ((), 12)
    assert set(seen(engine).values()) == {-1.0}
    with pytest.raises(GroveError, match=r"bank@1\.0\.0: the service gold raised ValueError: always"):
        engine.load_module_version("shop", 2)
    assert engine.get_version_metrics("bank", 1).errors == 0
    assert engine.tick(0.1).faults == ()


def test_a_call_that_kills_whoever_is_asked_leaves_the_base_alive(opened: Open) -> None:
    engine = opened(
        {
            "bank": {"1.0.0": bank(f"if (ids == 77).any(): os._exit(9)\n{GOLD}")},
            "shop": {"1.0.0": shop(GO_ON)},
        }
    )
    engine.load_module_version("shop", 1)
    engine.spawn("bank", id=[76, 77], gold=[1.0, 2.0])
    engine.spawn("shop", owner=[77])
    for tick in (1, 2):
        report = engine.tick(0.1)
        assert [(fault.module, fault.kind) for fault in report.faults] == [("bank", FaultKind.DEATH)] * 2
        assert report.entities == 3
        assert not engine.is_paused("bank")
        assert engine.entities("bank")["ticks"].tolist() == [tick, tick]
    assert set(seen(engine).values()) == {-1.0}


def test_a_canary_that_is_restarted_in_vain_goes_to_stable_whatever_the_policy_says(opened: Open) -> None:
    engine = opened(
        {
            "bank": {"1.0.0": bank(), "2.0.0": bank("raise ValueError('always')", LENS)},
            "shop": {"1.0.0": shop()},
        },
        fault_policy=Choice("breaker", {"least": 1000}),
    )
    owners = both(engine, 10)
    canary(engine)
    report = engine.tick(0.1)
    assert [(fault.module, fault.version) for fault in report.faults] == [("bank", V2)] * 2
    assert set(engine.locate("bank", owners)) == {V1}
    assert seen(engine) == gold(engine)


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ("self.bank.silver(e.owner)", "bank@1.0.0 has no service 'silver'; it has: gold, richest, worth"),
        ("self.bank.gold()", "bank.gold(ids): missing a required argument: 'ids'"),
        ("self.bank.gold(e.owner, 1)", "bank.gold(ids): too many positional arguments"),
        ("self.bank.richest(most=1)", "bank.richest(least=0.0): got an unexpected keyword argument 'most'"),
        ("self.bank.gold(ids=e.owner)", "give ids without its name"),
        ("self.bank.gold(e.seen)", "ids must be int64"),
        ("self.bank.worth(e.owner, 2)", "argument 2 must be an array of numbers with one value for each of the 6 ids"),
        ("self.bank.worth(e.owner, e.owner[1:])", "of shape (5,)"),
        ("self.bank.richest(least=object())", "object cannot go from one version to another"),
        ("self.bank.richest(least=np.array(['a']))", "an array of <U1 cannot go"),
    ],
)
def test_calls_that_make_no_sense_are_the_callers_fault(opened: Open, process: str, said: str) -> None:
    engine = opened({"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop(f"if e.owner[0] > 0: {process}")}})
    engine.load_module_version("bank", 1)
    owners = engine.spawn("bank", id=np.arange(1, 7), gold=np.zeros(6))
    engine.load_module_version("shop", 1)
    engine.spawn("shop", owner=owners)
    report = engine.tick(0.1)
    assert {fault.module for fault in report.faults} == {"shop"}
    assert said in report.faults[0].message
    assert engine.get_version_metrics("bank", 1).errors == 0


def test_where_nobody_would_answer_a_call_it_is_refused(opened: Open) -> None:
    """The version would wait for ever."""
    top = "def update_config(self, config): return bool(self.bank.richest())"
    engine = opened({"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop(top=top)}})
    both(engine)
    with pytest.raises(GroveError, match=r"bank\.richest cannot be called now"):
        engine.config.update("shop", {"a": 1})
    assert engine.tick(0.1).faults == ()


def test_only_the_thread_that_processes_can_call(opened: Open) -> None:
    """Threads that called at once would get each other's answers."""
    process = f"""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
    e.seen = pool.submit(self.bank.gold, e.owner).result() if e.owner[0] else {SEE.split("= ")[1]}
"""
    engine = opened({"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop(process)}})
    both(engine)
    faults = engine.tick(0.1).faults
    assert {fault.module for fault in faults} == {"shop"}
    assert "from the thread that runs these" in faults[0].message


def test_calls_without_end_are_refused_at_last(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """No deadline of the caller's comes nearer while it is answered."""
    monkeypatch.setattr("grove_core.runtime.orders.services.ROUNDS", 0.002)  # 40 ms
    slow = f"time.sleep(0.002)\n{GOLD}"
    engine = opened({"bank": {"1.0.0": bank(slow)}, "shop": {"1.0.0": shop(f"{SEE}\nwhile e.owner[0]: {SEE}")}})
    both(engine)
    report = engine.tick(0.1)
    assert {(fault.module, fault.kind) for fault in report.faults} == {("shop", FaultKind.RAISE)}
    assert "all calls of one tick, or one load, may take 40 ms" in report.faults[0].message


def test_who_kills_the_base_again_and_again_is_answered_no_more_in_this_tick(opened: Open) -> None:
    """Each time it would be restarted, for as long as the caller goes on."""
    process = """
refused = 0
for _ in range(4):
    try: self.bank.gold(e.owner)
    except GroveError as error: refused += "asked no more" in str(error)
e.seen = float(refused)
"""
    engine = opened(
        {"bank": {"1.0.0": bank(f"if (ids == 77).any(): os._exit(9)\n{GOLD}")}, "shop": {"1.0.0": shop(process)}}
    )
    engine.load_module_version("shop", 1)
    engine.spawn("bank", id=[76, 77], gold=[1.0, 2.0])
    engine.spawn("shop", owner=[77])
    for _ in range(2):
        report = engine.tick(0.1)
        assert [(fault.module, fault.kind) for fault in report.faults] == [("bank", FaultKind.DEATH)] * 2
        assert seen(engine) == {77: 3.0}, "the first call finds out, and the others are refused"


def test_stable_that_dies_while_it_answers_for_two_canaries_is_restarted_once(opened: Open, tmp_path: Path) -> None:
    told, armed = str(tmp_path / "told"), str(tmp_path / "armed")
    once = f"""
told = pathlib.Path({told!r})
if pathlib.Path({armed!r}).exists() and not told.exists():
    told.touch()
    os._exit(9)
{GOLD}
"""
    bad = bank(f"pathlib.Path({armed!r}).touch()\nraise ValueError('always')", LENS)
    engine = opened({"bank": {"1.0.0": bank(once), "2.0.0": bad, "3.0.0": bad}, "shop": {"1.0.0": shop()}})
    engine.load_module_version("bank", 1)
    engine.load_module_version("shop", 1)
    owners = engine.spawn("bank", gold=np.arange(12) * 10.0)
    engine.load_module_version("bank", 2)
    engine.load_module_version("bank", 3)
    engine.set_traffic_split("bank", {1: 0.4, 2: 0.3, 3: 0.3})
    asked = [one for one, version in zip(owners, engine.locate("bank", owners), strict=True) if version != V1]
    engine.spawn("shop", owner=asked)
    report = engine.tick(0.1)
    assert sorted(fault.version.major for fault in report.faults) == [1, 2, 3]
    assert seen(engine).items() <= gold(engine).items()


def test_a_document_that_changed_between_ticks_is_no_change_by_a_service(opened: Open) -> None:
    """A base without entities has no tick with which it would have gone along."""
    top = """def update_config(self, config):
        self.mark_state_changed()
        return True
"""
    engine = opened({"bank": {"1.0.0": bank(top=top)}, "shop": {"1.0.0": shop()}})
    engine.load_module_version("bank", 1)
    engine.config.update("bank", {"a": 1})
    engine.load_module_version("shop", 1)
    engine.spawn("shop", owner=[1, 2])
    assert engine.tick(0.1).faults == ()
    assert seen(engine) == {1: 7.5, 2: 7.5}


LYING = """
import grove_core.worker.services as worker
made = worker.Served
worker.Served = lambda call, ms, packed: made(call, {ms}, {packed})
return self.entities.gold
"""


def test_a_time_that_cannot_be_is_a_fault(opened: Open) -> None:
    lying = bank(LYING.format(ms="float('nan')", packed="packed"), LENS)
    engine = opened({"bank": {"1.0.0": bank(), "2.0.0": lying}, "shop": {"1.0.0": shop()}})
    both(engine)
    canary(engine)
    faults = engine.tick(0.1).faults
    assert [(fault.version, fault.kind) for fault in faults] == [(V2, FaultKind.WRONG_REPLY)]
    assert seen(engine) == gold(engine)


def test_an_answer_that_is_none_is_told_to_the_caller(opened: Open) -> None:
    process = f"try: {SEE}\nexcept GroveError as error: e.seen = 1 + ('its answer cannot be read' in str(error))"
    lying = bank(LYING.format(ms="ms", packed=r"b'\xc1'"))
    engine = opened({"bank": {"1.0.0": lying}, "shop": {"1.0.0": shop(process)}})
    both(engine)
    assert engine.tick(0.1).faults == ()
    assert set(seen(engine).values()) == {2.0}


def test_an_answer_for_which_the_engine_has_no_memory_is_none(opened: Open) -> None:
    source = bank().replace('"count": len(e)', '"count": np.zeros(30_000)')
    process = "try: e.seen = len(self.bank.richest()['count'])\nexcept GroveError: e.seen = -1.0"
    engine = opened({"bank": {"1.0.0": source}, "shop": {"1.0.0": shop(process)}})
    both(engine)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, usual[1]))
    try:
        report = engine.tick(0.1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert (report.faults, report.skipped) == ((), 0)
    assert set(seen(engine).values()) == {-1.0}
    assert engine.tick(0.1).faults == ()
    assert set(seen(engine).values()) == {30_000.0}


def test_a_base_that_died_meanwhile_is_told_with_its_end(opened: Open) -> None:
    engine = opened({"bank": {"1.0.0": bank(f"if (ids == 0).any(): os._exit(9)\n{GOLD}")}, "shop": {"1.0.0": shop()}})
    engine.load_module_version("bank", 1)
    with pytest.raises(GroveError, match=r"bank@1\.0\.0 has no worker now: its worker exited with status 9"):
        engine.load_module_version("shop", 1)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (bank("return self.entities.gold, ids", LENS), "answered in different shapes"),
        (bank(top=LENS).replace("def gold", "def silver"), "bank@2.0.0 has no such service"),
        (bank(top=LENS).replace("def gold(self, ids)", "def gold(self, them)"), "called in another way"),
    ],
)
def test_owners_that_do_not_answer_alike_are_told_to_the_caller(opened: Open, other: str, said: str) -> None:
    process = f"try: {SEE}\nexcept GroveError as error: e.seen = 1000 + ({said!r} in str(error))"
    engine = opened({"bank": {"1.0.0": bank(), "2.0.0": other}, "shop": {"1.0.0": shop(process)}})
    both(engine)
    canary(engine, 0.5)
    assert engine.tick(0.1).faults == ()
    assert set(seen(engine).values()) == {1001.0}


def test_a_call_takes_no_time_of_the_callers_limit(opened: Open) -> None:
    """Two slow answers take longer than its own deadline, and it is in time."""
    slow = f"end = time.monotonic() + 0.4\nwhile len(ids) == 6 and time.monotonic() < end: pass\n{GOLD}"
    engine = opened(
        {"bank": {"1.0.0": bank(slow)}, "shop": {"1.0.0": shop(f"{SEE}\n{SEE}")}},
        tick_deadline_ms=600.0,
    )
    both(engine)
    assert engine.tick(0.1).faults == ()
    assert seen(engine) == gold(engine)


def test_what_is_offered_can_be_listed(opened: Open) -> None:
    engine = opened({"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop()}})
    engine.load_module_version("shop", 1)
    assert [(one.module, one.version, one.name, one.signature, one.per_entity) for one in engine.services()] == [
        ("bank", V1, "gold", "(ids)", True),
        ("bank", V1, "richest", "(least=0.0)", False),
        ("bank", V1, "worth", "(ids, times, *, bonus=0.0)", True),
    ]
    assert engine.services("shop") == []


def test_a_view_that_a_service_kept_and_raised_is_trapped_by_the_fence(
    open_engine: OpenEngine, package: Any, installed: Any
) -> None:
    source = bank().replace(
        "e = self.entities\n", "e = self.entities\n        self.kept = e.gold if len(e) else 1\n        e.lost\n"
    )
    source = source.replace("self.entities.gold += 1", "self.entities.gold += getattr(self, 'kept', 1)")
    process = "try: self.bank.richest()\nexcept GroveError: e.seen = -1.0"
    found = installed(*folders_of(package, {"bank": {"1.0.0": source}, "shop": {"1.0.0": shop(process)}}))
    engine = open_engine({}, plugins=(found,), fence=True)
    both(engine)
    assert engine.tick(0.1).faults == ()
    assert set(seen(engine).values()) == {-1.0}
    faults = engine.tick(0.1).faults
    assert [(fault.module, fault.kind) for fault in faults][:1] == [("bank", FaultKind.DEATH)]
    assert "fence" in faults[0].message


def test_columns_that_are_fenced_are_open_for_answers(open_engine: OpenEngine, package: Any, installed: Any) -> None:
    found = installed(*folders_of(package, {"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop()}}))
    engine = open_engine({}, plugins=(found,), fence=True)
    both(engine)
    for _ in range(3):
        assert engine.tick(0.1).faults == ()
        assert seen(engine) == gold(engine)


@pytest.mark.parametrize("statements", ["raise ValueError('always')", "os._exit(9)"])
def test_a_tick_that_is_struck_after_a_rollback_within_it_is_taken_back_for_all(opened: Open, statements: str) -> None:
    lens = 'from grove_core import Scale\n    lenses = [Lens("<2", ">=2", [Scale("gold", 100.0), Add("more", 1.5)])]'
    other = bank(statements, lens).replace('ticks="i8"', 'ticks="i8", more="f8"')
    engine = opened({"bank": {"1.0.0": bank(), "2.0.0": other}, "shop": {"1.0.0": shop()}})
    both(engine, 10)
    canary(engine)
    before = gold(engine)
    lines = Path(ticking.__file__).read_text().splitlines()
    worked = "runtime/ticking/tick.py", lines.index("    clock.ended(Stage.WORK)") + 1
    assert strike(lambda: engine.tick(0.1), worked, 2), "once the shops have asked, and nothing of theirs is committed"
    assert engine.get_traffic_split("bank") == {V1: 1.0}
    assert gold(engine) == before
    assert {*engine.entities("bank")["ticks"].tolist(), *engine.entities("shop")["calls"].tolist()} == {0}
    assert engine.tick(0.1).faults == ()
    assert seen(engine) == gold(engine) == {one: value + 1 for one, value in before.items()}


def test_a_raise_that_nobody_waits_for_any_more_is_no_fault(opened: Open) -> None:
    """It answers a call of the tick that was struck, and meets the next one."""
    engine = opened({"bank": {"1.0.0": bank("raise ValueError('always')")}, "shop": {"1.0.0": shop(GO_ON)}})
    both(engine)

    def tick() -> None:
        engine.tick(0.1)

    pids = engine.workers("bank")
    strike_a_wait(tick)
    assert engine.tick(0.1).faults == ()
    assert engine.workers("bank") == pids


def test_a_raise_that_nobody_waits_for_any_more_does_not_tell_that_a_version_is_idle(opened: Open) -> None:
    source = bank("raise ValueError('always')", "def is_idle(self): return False")
    engine = opened({"bank": {"1.0.0": source}, "shop": {"1.0.0": shop(GO_ON)}}, idle_deadline_seconds=0.05)
    engine.load_module_version("shop", 1)
    ids = engine.spawn("shop", owner=[1])
    strike_a_wait(lambda: engine.tick(0.1))
    engine.despawn("shop", ids)
    engine.unload_module_version("shop", 1)
    with pytest.raises(GroveError, match="is_idle did not become true"):
        engine.unload_module_version("bank", 1)


def strike_a_wait(tick: Callable[[], object]) -> None:
    """Run a tick, and strike it as a call is waited for."""
    waits = {number for number, line in enumerate(SERVICES.read_text().splitlines(), 1) if "worker.receive(" in line}
    place, nth = next(one for one in places_of(tick) if one[0][0].endswith(SERVICES.name) and one[0][1] in waits)
    assert strike(tick, place, nth)


@pytest.mark.struck
@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("how", [error, ctrl_c])
def test_what_strikes_the_engine_in_a_call_leaves_the_whole_tick_or_none_of_it(
    opened: Open, how: Callable[[], None]
) -> None:
    sources = {"bank": {"1.0.0": bank(), "2.0.0": bank(top=LENS)}, "shop": {"1.0.0": shop(f"{SEE}\n{SEE}")}}
    engine = opened(sources, tick_deadline_ms=400.0)  # of an answer that is struck as it comes nothing is left
    both(engine, 10)
    canary(engine)

    def tick() -> None:
        engine.tick(0.1)

    def done() -> set[int]:
        return {*engine.entities("bank")["ticks"].tolist(), *engine.entities("shop")["calls"].tolist()}

    places = [one for one in places_of(tick) if one[0][0].endswith(("services.py", "asks.py"))]
    assert any("services.py" in place for (place, _), _ in places)
    ticks, went = 1, 0
    for place, nth in places[:: max(1, len(places) // 40)]:
        strike(tick, place, nth, how)
        assert done() in ({ticks}, {ticks + 1}), place
        went, (ticks,) = went + (done() != {ticks}), done()
        report = engine.tick(0.1)  # a worker that may be at what nobody waits for was ended
        assert (report.entities, report.skipped) == (20, 0), place
        assert seen(engine) == gold(engine), place
        ticks += 1
    assert went or how is error


def test_a_patch_may_change_what_is_offered_and_call_services_itself(opened: Open, code: Code) -> None:
    """Who calls the services is reloaded then, and where they are the same it is not."""
    engine = opened({"bank": {"1.0.0": bank()}, "shop": {"1.0.0": shop()}})
    both(engine)
    engine.tick(0.1)
    pids = engine.workers("shop")
    first = "def initialize(self, config): self.rich = self.bank.richest()['count']"
    engine.patch_module_version("bank", 1, path=code("1.0.1", bank("return self.entities.gold * 2"), module="bank"))
    engine.tick(0.1)
    assert (engine.workers("shop"), seen(engine)) == (pids, {one: 2 * value for one, value in gold(engine).items()})

    engine.patch_module_version(
        "bank",
        1,
        path=code("1.0.2", bank().replace("def gold(self, ids)", "def gold(self, ids, *, by=1)"), module="bank"),
    )
    engine.tick(0.1)
    assert engine.workers("shop") != pids
    process = "e.seen = self.bank.gold(e.owner, by=2) + self.rich"
    engine.patch_module_version("shop", 1, path=code("1.0.1", shop(process, first), module="shop"))
    assert engine.tick(0.1).faults == ()
    assert seen(engine) == {one: value + 6 for one, value in gold(engine).items()}


MISCHIEF = """
way = self.plan.get(str(int(self.entities.ticks.max(initial=0))))
if way == "raise": raise ValueError("planned")
if way == "die": os._exit(9)
return self.entities.gold
"""
PLANNED = f"plan = {{}}\n    def initialize(self, config): self.plan = config.get('plan', {{}})\n    {LENS}"
WAYS = st.dictionaries(st.integers(1, 5).map(str), st.sampled_from(["raise", "die"]), max_size=3)


@settings(max_examples=8)
@given(WAYS, st.lists(WAYS, min_size=1, max_size=2), st.integers(1, 9), st.booleans())
def test_whatever_services_do_nobody_loses_a_tick_and_answers_are_right_or_none(
    isolation: Shared, stable: dict[str, str], canaries: list[dict[str, str]], share: int, breaker: bool
) -> None:
    numbers = [f"{number}.0.0" for number in range(2, len(canaries) + 2)]
    sources = {
        "bank": {"1.0.0": bank(MISCHIEF, PLANNED.replace(LENS, "")), **dict.fromkeys(numbers, bank(MISCHIEF, PLANNED))},
        "shop": {"1.0.0": shop(GO_ON)},
    }
    how = msgspec.structs.replace(
        PATIENT, **PATIENTLY, fault_policy=Choice("breaker", {"least": 1000}) if breaker else PATIENT.fault_policy
    )
    with tempfile.TemporaryDirectory() as folder:
        written = [
            write_package(Path(folder) / f"{name}-{number}", name, number, source)
            for name, those in sources.items()
            for number, source in those.items()
        ]
        with DebugEngine(how, plugins=[InstalledIn(*written)], clock=ManualClock(), isolation=isolation) as engine:
            engine.load_module_version("bank", 1, config={"plan": stable})
            engine.load_module_version("shop", 1)
            owners = engine.spawn("bank", gold=np.arange(12) * 10.0)
            engine.spawn("shop", owner=owners)
            weight = share / 10 / len(canaries)
            for number, plan in zip(numbers, canaries, strict=True):
                engine.load_module_version("bank", number, config={"plan": plan})
            engine.set_traffic_split("bank", {"1.0.0": 1 - share / 10, **dict.fromkeys(numbers, weight)})
            for tick in range(1, 7):
                report = engine.tick(0.1)
                assert (report.entities, report.skipped) == (24, 0)
                assert gold(engine) == {int(one): 10.0 * n + tick for n, one in enumerate(owners)}
                answered = seen(engine) == gold(engine)
                assert answered or (str(tick) in stable and set(seen(engine).values()) == {-1.0})
