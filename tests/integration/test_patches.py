"""Changed code, and patch releases, in the place of what is loaded: no entity moves, and it can be undone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from packaging.version import Version

from grove_core import GroveError, Limits, PatchRefused, PatchReport, Since
from grove_core.base.errors import (
    AlreadyLoaded,
    DeadlineExceeded,
    DependencyError,
    InvalidConfig,
    LensError,
    LoadFailed,
    MigrationRefused,
    PeerDied,
    Quarantined,
    RolloutActive,
    UnknownModule,
    UnknownVersion,
)
from grove_core.base.events import EventKind
from grove_core.runtime.loading import patching
from grove_core.wire.faults import InjectedKind

from .acts import kinds
from .conftest import PATIENT, OpenEngine, Refused, kill, rows_by_id
from .depending import module
from .patched import KEEPS, SCHEMA, Code, adding, code, counts, start, ticks
from .sources import MODULE

__all__ = ["code"]

ONE, PATCHED, TWO = Version("1.0.0"), Version("1.0.1"), Version("2.0.0")
LENS = 'Lens("==1.0.0", "==2.*", [Add("hit")])'
ADDING_2 = adding(100, schema=f'hit="i8", {SCHEMA}', lenses=LENS)


def test_a_patch_release_takes_the_place_and_the_number_and_can_be_undone(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)), config={"by": 10}, limits=Limits(memory_bytes=1 << 30))
    before, (pid,) = rows_by_id(engine.entities(MODULE)), engine.workers(MODULE).values()
    report = engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2)))
    assert isinstance(report, PatchReport)
    assert (report.module, report.source, report.target, report.entities) == (MODULE, ONE, PATCHED, 8)
    assert report.patches == 1
    assert re.fullmatch("[0-9a-f]{12}", report.contents or "")
    assert 0 < report.pause_ms <= report.ms
    assert rows_by_id(engine.entities(MODULE)) == before
    assert engine.get_loaded_versions(MODULE) == [PATCHED] == engine.locate(MODULE, [3])
    assert engine.stable_version(MODULE) == PATCHED
    assert engine.get_traffic_split(MODULE) == {PATCHED: 1.0}
    assert engine.config.get(MODULE, 1) == {"by": 10}
    assert list(engine.workers(MODULE).values()) != [pid]
    assert engine.tick(0.25).faults == ()
    assert (counts(engine), ticks(engine, "1.0.1")) == ([10 + 20] * 8, 2)
    with pytest.raises(UnknownVersion):
        engine.get_version_metrics(MODULE, "1.0.0")

    undone = engine.undo_patch(MODULE, 1)
    assert (undone.source, undone.target, undone.entities, undone.patches) == (PATCHED, ONE, 8, 0)
    assert undone.contents != report.contents
    engine.tick(0.25)
    assert (counts(engine), ticks(engine, "1.0.0")) == ([10 + 20 + 10] * 8, 3)
    told = [event for event in engine.events if "patch" in event.kind]
    assert [(each.kind, each.version, each.details["source"], each.details["patches"]) for each in told] == [
        (EventKind.VERSION_PATCHED, PATCHED, "1.0.0", 1),
        (EventKind.PATCH_UNDONE, ONE, "1.0.1", 0),
    ]
    with pytest.raises(PatchRefused, match="nothing to undo"):
        engine.undo_patch(MODULE, 1)


def test_the_same_version_from_changed_code_is_read_where_it_came_from(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    folder = code("1.0.0", adding(1))
    start(engine, folder)
    for number in (2, 3):
        code("1.0.0", adding(number), into=Path(folder))
        report = engine.patch_module_version(MODULE, 1)
        assert (report.source, report.target, report.patches) == (ONE, ONE, number - 1)
        engine.tick(0.0)
    assert counts(engine) == [1 + 2 + 3] * 8
    assert ticks(engine, "1.0.0") == 3
    with pytest.raises(PatchRefused, match=f"what runs already .{report.contents}"):
        engine.patch_module_version(MODULE, 1)
    assert [engine.undo_patch(MODULE, 1).patches for _ in range(2)] == [1, 0]
    engine.tick(0.0)
    assert counts(engine) == [6 + 1] * 8, "the first code runs again, from a copy that was kept"


def test_of_many_codes_the_first_and_the_latest_are_kept(
    open_engine: OpenEngine, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patching, "UNDOABLE", 2)
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    reports = [engine.patch_module_version(MODULE, 1, path=code(f"1.0.{n}", adding(n))) for n in (2, 3, 4)]
    assert [each.patches for each in reports] == [1, 2, 2]
    assert [str(engine.undo_patch(MODULE, 1).target) for _ in range(2)] == ["1.0.3", "1.0.0"]


def test_what_is_installed_is_read_anew_where_it_lies(open_engine: OpenEngine, package: Any, installed: Any) -> None:
    folder = package(MODULE, "1.0.0", adding(1))
    engine = open_engine({}, plugins=(installed(folder),))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[0])
    package(MODULE, "1.0.2rc1", adding(50), into=folder)
    package(MODULE, "1.0.1", adding(5), into=folder)
    package(MODULE, "1.1.0", adding(9), into=folder)
    assert engine.patch_module_version(MODULE, 1).target == PATCHED, "no pre-release that nobody named"
    engine.tick(0.0)
    assert counts(engine)[:1] == [5]


def test_everything_that_knows_the_version_knows_it_by_its_new_number(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({}, settings=msgspec.structs.replace(PATIENT, keep_generations=3))
    start(engine, code("1.0.0", adding(1)))
    engine.load_module_version(MODULE, 2, path=code("2.0.0", ADDING_2))
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    where = dict(enumerate(engine.locate(MODULE, range(8))))
    mine = [each for each, version in where.items() if version == ONE]
    engine.pin(MODULE, mine[:1], 1)
    engine.pin_where(MODULE, f"tag == {mine[1]}", 1)
    engine.tick(0.25)
    history, then = engine.migration_history(MODULE), engine.generations(MODULE)[-1]
    before = rows_by_id(engine.entities(MODULE, version=2))

    assert engine.patch_module_version(MODULE, "1.0.0", path=code("1.0.1", adding(7))).entities == 4
    assert rows_by_id(engine.entities(MODULE, version=2)) == before
    moved = {each: PATCHED if version == ONE else version for each, version in where.items()}
    assert dict(enumerate(engine.locate(MODULE, range(8)))) == moved
    assert engine.get_traffic_split(MODULE) == {PATCHED: 0.5, TWO: 0.5}
    assert engine.migration_history(MODULE) == history
    assert [rule.version for rule in engine.pin_rules(MODULE)] == [PATCHED]
    assert "1.0.1" in engine.explain(MODULE, mine[0]).text
    assert engine.generations(MODULE)[-1].entities == {PATCHED: 4, TWO: 4}
    assert then.entities == {ONE: 4, TWO: 4}
    assert engine.tick(0.25).faults == ()

    # Lenses that name 1.0.0 alone still lead from 1.0.1 to 2.0.0; what rows carry comes back; origins are known.
    engine.set_traffic_split(MODULE, {"1.0.1": 0.0, 2: 1.0})
    engine.set_traffic_split(MODULE, {"1.0.1": 0.5, 2: 0.5})
    assert dict(enumerate(engine.locate(MODULE, range(8)))) == moved
    engine.rollback(MODULE, 1, generation=then.number, since=Since.KEEP)
    assert engine.stable_version(MODULE) == PATCHED
    assert {each: row[:-1] for each, row in rows_by_id(engine.entities(MODULE)).items()}.keys() == set(range(8))
    assert engine.tick(0.25).faults == ()


def test_the_roles_go_with_the_version(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    engine.load_module_version(MODULE, 2, path=code("2.0.0", ADDING_2))
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(3)))
    engine.inject_fault(MODULE, 2, "raise")
    (rollback,) = engine.tick(0.0).rollbacks
    assert rollback.target == PATCHED, "it was previous, and is"
    assert sum(counts(engine)) == 8 * (1 + 3)


def test_what_was_rolled_back_and_patched_since_can_be_rolled_out_again(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    engine.load_module_version(MODULE, 2, path=code("2.0.0", ADDING_2))
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.rollback(MODULE, 1)
    with pytest.raises(Quarantined):
        engine.rollouts.start(MODULE, 2, "canary")
    engine.patch_module_version(MODULE, 2, path=code("2.0.1", ADDING_2 + "# mended"))
    assert kinds(engine)[-2:] == [EventKind.RELEASED, EventKind.VERSION_PATCHED]
    engine.rollouts.start(MODULE, 2, "canary")


def refusing(number: str, source: str, error: type[GroveError], *words: str) -> Any:
    return pytest.param(number, source, error, words, id=f"{number}: {words[0]}")


def doing(what: str, where: str = "def initialize(self, config)") -> str:
    """Return code that does something first in one of its methods."""
    return adding(2, body=KEEPS.replace(f"{where}:\n", f"{where}:\n    {what}\n", 1))


TAKE_OVER = "def migrate_state_from(self, from_version, document)"
REFUSED = [
    refusing("1.0.1", adding(2, schema=f'{SCHEMA}, more="f4"'), PatchRefused, "more is new", "load_module_version"),
    refusing("1.0.1", adding(2, schema=SCHEMA.replace('x="f8", ', "")), PatchRefused, "x is gone"),
    refusing("1.0.1", adding(2, schema=SCHEMA.replace("high=100", "high=99")), PatchRefused, "high 100", "high 99"),
    refusing("1.0.1", adding(2, schema=SCHEMA.replace(', constant=("fixed",)', "")), PatchRefused, "fixed", "constant"),
    refusing("1.0.1", adding(2, schema=SCHEMA.replace('"f8"', '"f4"')), PatchRefused, "x was <f8", "<f4"),
    refusing("1.1.0", adding(2), PatchRefused, "1.1.0 is no patch release of 1.0.0", "split"),
    refusing("2.0.0", adding(2), PatchRefused, "2.0.0 is no patch release"),
    refusing("1.0.0rc1", adding(2), PatchRefused, "older than 1.0.0", "undo_patch"),
    refusing("1.0.0", adding(1), PatchRefused, "what runs already"),
    refusing("1.0.1", "x = = 1", LoadFailed, "SyntaxError", "line 1", "x = = 1"),
    refusing("1.0.1", "import nothing_of_this_name", LoadFailed, "ModuleNotFoundError"),
    refusing("1.0.1", doing("raise ValueError('why')"), LoadFailed, "ValueError: why", "Traceback"),
    refusing("1.0.1", doing("os._exit(3)"), PeerDied, "exited with status 3"),
    refusing("1.0.1", doing("signal.pause()"), DeadlineExceeded, "initialised", "load_deadline_seconds"),
    refusing("1.0.1", doing("bytearray(1 << 30)"), LoadFailed, "memory_bytes"),
    refusing("1.0.1", adding(2).replace("e.n +=", "e.nowhere +="), LoadFailed, "nowhere"),
    refusing(
        "1.0.1", adding(2, body=KEEPS + "def get_dependencies(self): return ['map>=2']"), DependencyError, "map>=2"
    ),
    refusing("1.0.1", adding(2, lenses='Lens("==1.*", "==2.*", [Drop("more")])'), LensError, "more"),
    refusing("1.0.1", adding(2, body=KEEPS.replace("True", "False")), MigrationRefused, "document of 1.0.0"),
    refusing(
        "1.0.1",
        adding(2, body=KEEPS.replace("get_state", "got_state").replace("mark_state_changed", "got_state")).replace(
            "mark_state_changed", "got_state"
        ),
        PatchRefused,
        "keeps no document",
    ),
    refusing("1.0.1", doing("1 / 0", TAKE_OVER), LoadFailed, "Zero"),
    refusing(
        "1.0.1",
        doing("signal.pause()", TAKE_OVER),
        DeadlineExceeded,
        "tick_deadline_ms",
    ),
    refusing(
        "1.0.1",
        adding(2, top="import msgspec\nclass C(msgspec.Struct, forbid_unknown_fields=True): other: int = 3", body=KEEPS)
        .replace("lenses = [", "config_type = C\n    lenses = [")
        .replace("config.get('by', 1)", "1"),
        InvalidConfig,
        "by",
    ),
]


@pytest.mark.parametrize(("number", "source", "error", "words"), REFUSED)
def test_code_that_does_not_fit_changes_nothing(
    open_engine: OpenEngine,
    code: Code,
    refused: Refused,
    number: str,
    source: str,
    error: type[GroveError],
    words: tuple[str, ...],
) -> None:
    hasty = msgspec.structs.replace(PATIENT, load_deadline_seconds=2.0, tick_deadline_ms=2000.0)
    engine = open_engine({}, settings=hasty if error is DeadlineExceeded else PATIENT)
    start(engine, code("1.0.0", adding(1)), config={"by": 1}, limits=Limits(memory_bytes=1 << 29))
    if error is LensError:
        engine.load_module_version(MODULE, 2, path=code("2.0.0", ADDING_2))
    given = code(number, source)
    with refused(engine, error, *words, MODULE):
        engine.patch_module_version(MODULE, 1, path=given)
    assert "grove-copy-" not in str(engine.events[-1].details["reason"]), "it tells of the file that somebody wrote"
    assert engine.events[-1].kind is EventKind.PATCH_REFUSED
    assert engine.tick(0.25).faults == ()
    assert (counts(engine), ticks(engine, "1.0.0")) == ([2] * 8, 2)
    assert engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2))).patches == 1


def test_a_default_that_is_nan_is_the_same_schema(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    schema = f'{SCHEMA}, z=Column("f4", default=float("nan"), nan=True)'
    start(engine, code("1.0.0", adding(1, schema=schema)))
    engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2, schema=schema)))
    kill(engine, PATCHED)
    engine.tick(0.0)
    assert not engine.is_paused(MODULE), "nor does a restart take it for another one"
    with pytest.raises(PatchRefused, match=r"another schema: more is new\. Give"):
        engine.patch_module_version(MODULE, 1, path=code("1.0.2", adding(2, schema=f'{schema}, more="?"')))


def test_what_cannot_be_patched_is_refused_by_name(open_engine: OpenEngine, code: Code, refused: Refused) -> None:
    engine = open_engine({})
    first = code("1.0.0", adding(1))
    with pytest.raises(UnknownModule):
        engine.patch_module_version(MODULE, 1, path=first)
    start(engine, first)
    with refused(engine, UnknownVersion):
        engine.patch_module_version(MODULE, 3)
    with refused(engine, UnknownModule, "no_such_folder"):
        engine.patch_module_version(MODULE, 1, path="no_such_folder")
    with refused(engine, PatchRefused, "no code of it", "other"):
        engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(1), module="other"))
    given = code("1.0.1", adding(2))
    engine.load_module_version(MODULE, "1.0.1", path=given)
    with refused(engine, AlreadyLoaded, "1.0.1"):
        engine.patch_module_version(MODULE, "1.0.0", path=given)
    engine.rollouts.start(MODULE, "1.0.1", "canary")
    with refused(engine, RolloutActive, "engine.rollouts.abort"):
        engine.patch_module_version(MODULE, "1.0.0", path=code("1.0.0", adding(3)))


def test_a_rollout_that_has_ended_can_be_undone_all_the_same(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    engine.rollouts.start(MODULE, 2, "blue_green", path=code("2.0.0", ADDING_2))
    engine.rollouts.promote(MODULE)
    engine.patch_module_version(MODULE, 2, path=code("2.0.1", ADDING_2))
    engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(1)))
    engine.rollouts.undo(MODULE)
    assert engine.stable_version(MODULE) == PATCHED


@pytest.mark.parametrize("kind", [InjectedKind.RAISE, InjectedKind.HANG, InjectedKind.KILL, InjectedKind.GARBAGE])
def test_a_fault_at_the_patch_leaves_the_code_before_in_its_place(
    open_engine: OpenEngine, code: Code, refused: Refused, kind: InjectedKind
) -> None:
    deadline = 300.0 if kind is InjectedKind.HANG else 20_000.0
    engine = open_engine({}, settings=msgspec.structs.replace(PATIENT, tick_deadline_ms=deadline))
    start(engine, code("1.0.0", adding(1)))
    given = code("1.0.1", adding(5))
    engine.inject_fault(MODULE, "1.0.1", kind, point="patch", seconds=60.0)
    with refused(engine, GroveError, "1.0.1"):
        engine.patch_module_version(MODULE, 1, path=given)
    assert EventKind.FAULT_INJECTED in kinds(engine)
    engine.patch_module_version(MODULE, 1, path=given)
    engine.tick(0.0)
    assert counts(engine) == [1 + 5] * 8


def test_the_code_that_goes_shuts_down_by_itself(open_engine: OpenEngine, code: Code, tmp_path: Path) -> None:
    engine = open_engine({})
    told = tmp_path / "told"
    start(engine, code("1.0.0", adding(1, body=f"{KEEPS}\ndef shutdown(self): open({str(told)!r}, 'w').close()")))
    engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2)))
    assert told.exists()


def test_one_whose_worker_died_gets_one_of_the_new_code(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    kill(engine, ONE)
    engine.patch_module_version(MODULE, 1, path=code("1.0.1", adding(2)))
    assert engine.tick(0.0).faults == ()
    assert counts(engine) == [1 + 2] * 8


def test_a_module_that_was_paused_for_a_bug_goes_on_with_its_mending(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    bug = adding(2).replace("e.n +=", "assert not e.n.any()\n        e.n +=")
    engine.patch_module_version(MODULE, 1, path=code("1.0.0", bug))
    engine.tick(0.0)
    assert engine.is_paused(MODULE)
    engine.patch_module_version(MODULE, 1, path=code("1.0.0", adding(3)))
    assert not engine.is_paused(MODULE)
    assert engine.tick(0.0).faults == ()
    assert (counts(engine), ticks(engine, "1.0.0")) == ([1 + 3] * 8, 2)


def test_what_needs_it_is_neither_reloaded_nor_left_without(
    open_engine: OpenEngine, code: Code, refused: Refused
) -> None:
    engine = open_engine({})
    base, patched, far = (code(number, module(), module="base") for number in ("1.0.0", "1.0.1", "1.0.9"))
    engine.load_module_version("base", 1, path=base)
    engine.load_module_version(MODULE, 1, path=code("1.0.0", module(["base<1.0.9"])))
    for name in ("base", MODULE):
        engine.spawn(name, n=[1, 2, 3])
    engine.tick(0.0)
    workers = engine.workers(MODULE)
    engine.patch_module_version("base", 1, path=patched)
    engine.tick(0.0)
    assert engine.workers(MODULE) == workers, "it came up with the same version, which only has another number"
    assert EventKind.REQUIREMENT_UNMET not in kinds(engine)
    with refused(engine, PatchRefused, f"{MODULE}@1.0.0", "base<1.0.9", module="base"):
        engine.patch_module_version("base", 1, path=far)
    engine.undo_patch("base", 1)
    engine.tick(0.0)
    assert engine.workers(MODULE) == workers


def test_metrics_go_on_and_comparisons_begin_anew(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    start(engine, code("1.0.0", adding(1)))
    engine.patch_module_version(MODULE, 1, path=code("1.0.0", adding(2)))
    engine.tick(0.0)
    assert engine.get_version_metrics(MODULE, 1).ticks == 2
    (figure,) = next(each for each in engine.compare_versions(MODULE).metrics if each.name == "ticks").figures.values()
    assert figure.value == 1
    (detail,) = engine.detailed_status().modules[0].versions
    assert detail.patches == 1


def test_newborn_are_as_the_new_code_says(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})

    def born(column: str) -> str:
        return adding(0).replace("lenses = [", f"newborn = {{{column!r}: 'level'}}\n    lenses = [")

    start(engine, code("1.0.0", born("tag")), config={"level": 5})
    engine.patch_module_version(MODULE, 1, path=code("1.0.0", born("n")))
    (new,) = engine.spawn(MODULE)
    columns = engine.entities(MODULE)
    row = int(np.flatnonzero(columns["id"] == new)[0])
    assert (columns["tag"][row], columns["n"][row]) == (0, 5)


def test_what_needs_it_is_reloaded_for_other_services(open_engine: OpenEngine, code: Code) -> None:
    engine = open_engine({})
    total, whole = (
        code(
            "1.0.0",
            module(body=f"@service\ndef {name}(self): return 7", top="from grove_core import service"),
            module="base",
        )
        for name in ("total", "whole")
    )
    engine.load_module_version("base", 1, path=total)
    engine.load_module_version(MODULE, 1, path=code("1.0.0", module(["base"])))
    engine.spawn(MODULE, n=[1])
    engine.tick(0.0)
    (pid,) = engine.workers(MODULE).values()
    engine.patch_module_version("base", 1, path=whole)
    engine.tick(0.0)
    assert list(engine.workers(MODULE).values()) != [pid]
    assert counts(engine) == [3]
