"""Maps in an engine: their functions run in fresh workers of the version that declares them, and may do anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from grove_core import DebugEngine, Settings
from grove_core.base.errors import LensError, MigrationRefused
from grove_core.base.events import EventKind
from grove_core.runtime.copies.packages import Packages

from .conftest import OpenEngine, rows_by_id
from .sources import MODULE, version

CARTESIAN = 'x="f4", y="f4", n="i8"'
POLAR = 'r=Column("f4", low=0), phi="f4", n="i8"'
FUNCTIONS = """
def forward(x, y):
    return {"r": np.hypot(x, y), "phi": np.arctan2(y, x)}

def backward(r, phi):
    return {"x": r * np.cos(phi), "y": r * np.sin(phi)}
"""
V1 = version("e.n += 1", schema=CARTESIAN)


def polar(functions: str = FUNCTIONS, *, back: str = ", backward", process: str = "e.n += 100") -> str:
    lens = f'Lens("==1.*", "==2.*", [Map(("x", "y"), ("r", "phi"), forward{back})])'
    return version(process, schema=POLAR, lenses=lens, top=f"from grove_core import Map\n{functions}")


BOTH = {"1.0.0": V1, "2.0.0": polar()}


def filled(engine: DebugEngine, rows: int = 10) -> dict[int, tuple[object, ...]]:
    """Load both versions and give birth in the first; return what its rows are."""
    engine.load_module_version(MODULE, 1)
    rng = np.random.default_rng(1)
    engine.spawn(MODULE, x=rng.normal(size=rows), y=rng.normal(size=rows))
    engine.load_module_version(MODULE, 2)
    return rows_by_id(engine.entities(MODULE))


@contextmanager
def nothing_moved(engine: DebugEngine, before: Any, error: type[Exception], *words: str) -> Iterator[None]:
    """The call raises it and says so, and all rows are in the first version as they were."""
    with pytest.raises(error) as caught:
        yield
    told = str(caught.value)
    assert [word for word in words if word not in told] == [], told
    assert rows_by_id(engine.entities(MODULE, version=1)) == before
    assert {str(each) for each in engine.locate(MODULE, list(before))} == {"1.0.0"}


def mapped(engine: DebugEngine) -> list[dict[str, Any]]:
    return [dict(event.details) for event in engine.events if event.kind is EventKind.MAPPED]


def test_there_and_back_bit_for_bit(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    before = filled(engine)
    engine.migrate_state(MODULE, 1, 2)
    shown = engine.entities(MODULE, version=2)
    born = [np.frombuffer(b"".join(row[:2]), "f4") for row in before.values()]  # type: ignore[arg-type]
    assert np.allclose(np.sort(shown["r"]), np.sort([np.hypot(*each) for each in born]))
    engine.tick(1.0)
    engine.migrate_state(MODULE, 2, 1)
    after = rows_by_id(engine.entities(MODULE))
    assert {each: row[:2] for each, row in after.items()} == {each: row[:2] for each, row in before.items()}
    assert engine.entities(MODULE)["n"].tolist() == [100] * 10
    engine.migrate_state(MODULE, 1, 2)
    again, shown = rows_by_id(engine.entities(MODULE)), rows_by_id(shown)
    assert {each: row[:2] for each, row in again.items()} == {each: row[:2] for each, row in shown.items()}
    (event,) = mapped(engine)
    assert (event["source"], event["target"], event["entities"]) == ("1.0.0", "2.0.0", 10)
    assert event["columns"] == ["r", "phi"]
    assert event["ms"] > 0


def test_part_of_the_rows_and_rows_that_were_changed(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": polar(process="e.r[:1] = 5")})
    before = filled(engine)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.tick(1.0)
    engine.set_traffic_split(MODULE, {1: 1.0})
    after = rows_by_id(engine.entities(MODULE))
    changed = [each for each in before if before[each][:2] != after[each][:2]]
    assert len(changed) == 1
    here = engine.entities(MODULE)
    row = here["id"].tolist().index(changed[0])
    assert np.hypot(here["x"][row], here["y"][row]) == pytest.approx(5)
    assert [event["entities"] for event in mapped(engine)] == [5, 1]


def test_births_and_views_go_through_a_map(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5})
    engine.spawn(MODULE, id=range(4), x=3.0, y=4.0)
    assert engine.entities(MODULE, version=2)["r"].tolist() == [5.0] * 4
    shown = engine.entities(MODULE, version=1)
    assert sorted(engine.get_traffic_split(MODULE).values()) == [0.5, 0.5]
    assert np.allclose(shown["x"], 3)
    assert np.allclose(shown["y"], 4)


def test_a_rollback_after_a_fault_computes_back(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    before = filled(engine)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(1.0)
    assert [str(rollback.target) for rollback in report.rollbacks] == ["1.0.0"]
    after = rows_by_id(engine.entities(MODULE))
    assert {each: row[:2] for each, row in after.items()} == {each: row[:2] for each, row in before.items()}
    assert engine.entities(MODULE)["n"].tolist() == [1] * 10


def test_a_version_that_cannot_go_back_is_restarted(open_engine: OpenEngine) -> None:
    functions = FUNCTIONS.replace("def backward(r, phi):", "def backward(r, phi):\n    raise ValueError('no way back')")
    engine = open_engine({"1.0.0": V1, "2.0.0": polar(functions, process="e.r *= 2")})
    filled(engine)
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.tick(1.0)
    shown = np.sort(engine.entities(MODULE)["r"])
    engine.inject_fault(MODULE, 2, "raise")
    report = engine.tick(1.0)
    assert not report.rollbacks
    assert len(report.faults) == 1
    assert [str(event.version) for event in engine.events if event.kind is EventKind.RESTARTED] == ["2.0.0"]
    assert np.sort(engine.entities(MODULE)["r"]).tobytes() == (2 * shown).tobytes(), "the lost tick was redone"
    (failed,) = [event for event in engine.events if event.kind is EventKind.LOAD_FAILED]
    assert "no way back" in failed.details["error"]


def test_a_version_that_is_not_loaded_lends_its_functions(open_engine: OpenEngine) -> None:
    """3 and 1 are joined by a Map that 2 declares, which is installed but not loaded."""
    third = version("pass", schema=POLAR + ', extra="?"', lenses='Lens("==2.*", "==3.*", [Add("extra")])')
    engine = open_engine({**BOTH, "3.0.0": third})
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, id=range(3), x=3.0, y=4.0)
    engine.load_module_version(MODULE, 3)
    engine.migrate_state(MODULE, 1, 3)
    assert engine.entities(MODULE, version=3)["r"].tolist() == [5.0] * 3
    assert [str(each) for each in engine.get_loaded_versions(MODULE)] == ["1.0.0", "3.0.0"]
    assert {str(event.version) for event in engine.events if event.kind is EventKind.MAPPED} == {"2.0.0"}


def test_functions_of_one_way_share_a_worker_of_their_version(open_engine: OpenEngine) -> None:
    functions = """
import os
def forward(x, y):
    print("forward", os.getpid())
    return {"r": x, "phi": y}
def backward(r, phi):
    return {"x": r, "y": phi}
def second(r, phi):
    print("second", os.getpid())
    return {"a": r, "b": phi}
"""
    both = (
        'Lens("==1.*", "==2.*", [Map(("x", "y"), ("r", "phi"), forward, backward)]), '
        'Lens("==2.*", "==3.*", [Map(("r", "phi"), ("a", "b"), second)])'
    )
    engine = open_engine(
        {
            "1.0.0": V1,
            "2.0.0": version("pass", schema='r="f4", phi="f4", n="i8"'),
            "3.0.0": version(
                "pass", schema='a="f4", b="f4", n="i8"', lenses=both, top=f"from grove_core import Map\n{functions}"
            ),
        }
    )
    engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 2)
    engine.load_module_version(MODULE, 3)
    engine.spawn(MODULE, x=[1.0, 2.0], y=3.0)
    engine.migrate_state(MODULE, 1, 3)
    assert sorted(engine.entities(MODULE, version=3)["a"].tolist()) == [1.0, 2.0]
    printed = [event.details["text"].split() for event in engine.events if event.kind is EventKind.WORKER_OUTPUT]
    assert [name for name, _ in printed] == ["forward", "second"]
    assert len({pid for _, pid in printed}) == 1
    assert {int(pid) for _, pid in printed}.isdisjoint(engine.workers(MODULE).values())


BAD = {
    "raises": ("raise ValueError('no good')", "ValueError: no good"),
    "exits": ("sys.exit(3)", "SystemExit: 3"),
    "dies": ("os.kill(os.getpid(), signal.SIGKILL)", "its worker was killed by SIGKILL"),
    "ends its process": ("os._exit(7)", "its worker exited with status 7"),
    "gives NaN": ("return {'r': x * np.nan, 'phi': y}", "column 'r' is NaN in 10 of 10 rows"),
    "gives one NaN": (
        "x = x.copy(); x[3] = np.nan; return {'r': abs(x), 'phi': y}",
        "column 'r' is NaN in 1 of 10 rows",
    ),
    "breaks a rule": ("return {'r': 0 * x - 1, 'phi': y}", "column 'r' is -1.0, below its lowest value 0"),
    "gives too few rows": ("return {'r': abs(x)[1:], 'phi': y}", "column 'r' has 9 values for 10 rows"),
    "gives too many rows": ("return {'r': np.zeros(11, 'f4'), 'phi': y}", "column 'r' has 11 values for 10 rows"),
    "gives a wrong dtype": ("return {'r': x > 0, 'phi': np.zeros(10, 'c8')}", "column 'phi' holds complex64"),
    "gives texts": ("return {'r': ['a'] * 10, 'phi': y}", "column 'r' holds str"),
    "gives what does not fit": ("return {'r': np.full(10, 1e300), 'phi': y}", "too large for float32"),
    "gives two dimensions": ("return {'r': np.zeros((10, 1)), 'phi': y}", "column 'r' has 2 dimensions"),
    "gives one column": ("return {'r': abs(x)}", "forward must return the columns r, phi; it returned r"),
    "gives another column": ("return {'r': x, 'phi': y, 'x': x}", "it returned r, phi, x"),
    "gives nothing": ("pass", "it returned NoneType"),
    "writes its sources": ("x[:] = 0; return {'r': x, 'phi': y}", "read-only"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_function_that_fails_moves_nothing(open_engine: OpenEngine, name: str) -> None:
    body, told = BAD[name]
    functions = FUNCTIONS.replace('    return {"r": np.hypot(x, y), "phi": np.arctan2(y, x)}', f"    {body}")
    assert functions != FUNCTIONS
    engine = open_engine({"1.0.0": V1, "2.0.0": polar(functions)})
    before = filled(engine)
    with nothing_moved(engine, before, LensError, f"{MODULE}@2.0.0", "Map of x, y to r, phi (forward)", told):
        engine.migrate_state(MODULE, 1, 2)
    with nothing_moved(engine, before, LensError, told):
        engine.set_traffic_split(MODULE, {1: 0.0, 2: 1.0})
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [1] * 10
    assert not mapped(engine)


def test_a_function_that_hangs_is_ended(open_engine: OpenEngine) -> None:
    functions = FUNCTIONS.replace('    return {"r"', '    time.sleep(1e6)\n    return {"r"')
    settings = Settings(tick_deadline_ms=20_000.0, load_deadline_seconds=1.0, max_entities=1 << 12)
    engine = open_engine({"1.0.0": V1, "2.0.0": polar(functions)}, settings=settings)
    before = filled(engine)
    with nothing_moved(engine, before, LensError, "did not answer within 1 s (load_deadline_seconds)"):
        engine.migrate_state(MODULE, 1, 2)
    engine.tick(1.0)


def test_no_function_and_no_version_is_imported_by_the_engine(open_engine: OpenEngine) -> None:
    engine = open_engine(BOTH)
    filled(engine)
    engine.migrate_state(MODULE, 1, 2)
    assert not [name for name in sys.modules if name.startswith(MODULE)]


def test_an_irreversible_map_is_refused_and_says_what_to_do(open_engine: OpenEngine) -> None:
    engine = open_engine({"1.0.0": V1, "2.0.0": polar(back="")})
    filled(engine)
    engine.migrate_state(MODULE, 1, 2)
    before = engine.entities(MODULE, version=2)
    for call in (
        lambda: engine.migrate_state(MODULE, 2, 1),
        lambda: engine.set_traffic_split(MODULE, {1: 0.5, 2: 0.5}),
        lambda: engine.rollback(MODULE, 1),
        lambda: engine.entities(MODULE, version=1),
    ):
        with pytest.raises(MigrationRefused) as caught:
            call()
        assert "`backward`" in str(caught.value)
        assert "force=True" in str(caught.value)
    assert rows_by_id(engine.entities(MODULE, version=2)) == rows_by_id(before)
    assert len(mapped(engine)) == 1


def test_what_changed_on_disk_is_not_run(open_engine: OpenEngine, tmp_path: Any) -> None:
    engine = open_engine(BOTH)
    filled(engine)
    (source,) = tmp_path.glob("package*/counter_v2_0_0/__init__.py")
    source.write_text("half of a")
    engine.migrate_state(MODULE, 1, 2)
    assert len(mapped(engine)) == 1


def test_lenses_that_changed_where_they_run_are_not_run(
    open_engine: OpenEngine, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Packages, "own", lambda self, record: record)  # as for what is no distribution of its own
    engine = open_engine(BOTH)
    filled(engine)
    (source,) = tmp_path.glob("package*/counter_v2_0_0/__init__.py")
    source.write_text(polar(back=""))
    with pytest.raises(LensError, match="its lenses changed on disk"):
        engine.migrate_state(MODULE, 1, 2)
    assert len(engine.entities(MODULE)["id"]) == 10
