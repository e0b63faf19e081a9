"""What is installed runs from a copy of its distribution's own files: an upgrade mixes nothing."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grove_core import ManualClock, MultiVersionEngine
from grove_core.base.errors import BrokenPackage, LoadFailed, PatchRefused, UnsettledPackage
from grove_core.base.records import VersionRecord
from grove_core.parts.distributions import files_of
from grove_core.parts.hookspecs import hookimpl
from grove_core.runtime.copies.packages import SETTLE_SECONDS

from ..conftest import write_package
from .conftest import PATIENT, OpenEngine, Shared, kill
from .sources import MODULE, version
from .test_path import ONE, unpacked

LAZY = version(
    """
e.n += {number}
if e.n[0] > 100:
    import counter_code.lazy
    e.n += counter_code.lazy.OWN
""",
    schema='n="i8"',
)
"""It imports a module of its package only when it has such rows; both tell which installation they are of."""


def code(number: int) -> dict[str, Any]:
    return {"source": LAZY.format(number=number), "files": {"counter_code/lazy.py": f"OWN = {number}00"}}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder on `sys.path`, as site-packages is."""
    folder = tmp_path / "site"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    importlib.invalidate_caches()


@pytest.fixture
def engine(site: Path, isolation: Shared) -> Iterator[MultiVersionEngine]:
    """One that finds what is installed, and nothing else."""
    with MultiVersionEngine(PATIENT, clock=ManualClock(), isolation=isolation) as engine:
        yield engine


def install(site: Path, number: str, **more: Any) -> None:
    """Install a version in place of the one that is there, as `pip install -U` does."""
    for each in (*site.glob("*.dist-info"), *site.glob("counter_code")):
        shutil.rmtree(each)
    distribution = f"grove-{MODULE}"
    write_package(site, MODULE, number, distribution=distribution, import_name="counter_code", **more)


def test_an_upgrade_under_a_running_worker_and_a_restart_mix_nothing(engine: Any, site: Path) -> None:
    install(site, "1.0.0", **code(1))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[100])
    install(site, "1.0.1", **code(2))
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [201], "what it imports late is of its own installation"
    install(site, "1.0.1", source="half of a")
    state = engine._states[MODULE]
    state.versions[ONE].worker.kill()
    assert [fault.kind.value for fault in engine.tick(1.0).faults] == ["death"]
    assert engine.entities(MODULE)["n"].tolist() == [302], "it was restarted from what it ran before"


def test_a_later_load_takes_what_is_installed_by_then_and_a_rollback_what_ran(engine: Any, site: Path) -> None:
    before = unpacked()
    install(site, "1.0.0", **code(1))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[100])
    install(site, "2.0.0", **code(2))
    engine.load_module_version(MODULE, 2)
    assert len(unpacked() - before) == 2
    engine.set_traffic_split(MODULE, {2: 1.0})
    engine.tick(1.0)
    engine.unload_module_version(MODULE, 1)
    engine.rollback(MODULE, 1)
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [302 + 101], "1.0.0 is not installed any more, and ran again"
    engine.close()
    assert unpacked() == before


def test_a_patch_of_what_is_installed_runs_from_a_copy_and_can_be_undone(engine: Any, site: Path) -> None:
    install(site, "1.0.0", **code(1))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[100])
    install(site, "1.0.1", **code(2))
    assert str(engine.patch_module_version(MODULE, 1).target) == "1.0.1"
    install(site, "1.0.2", source="half of a")
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [302]
    with pytest.raises(LoadFailed, match="SyntaxError"):
        engine.patch_module_version(MODULE, 1)
    engine.undo_patch(MODULE, 1)
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [302 + 101]


def test_a_patch_of_what_is_not_installed_any_more_is_refused_and_strangers_are_not_copied(
    engine: Any, site: Path, tmp_path: Path
) -> None:
    install(site, "1.0.0", **code(1))
    engine.load_module_version(MODULE, 1)
    engine.spawn(MODULE, n=[100])
    for each in (*site.glob("*.dist-info"), *site.glob("counter_code")):
        shutil.rmtree(each)
    write_package(site, "stranger", "1.0.0", import_name="stranger_code", source="")
    for told in (r"there is stranger", rf"not installed in {site} any more; .* path="):
        with pytest.raises(PatchRefused, match=told):
            engine.patch_module_version(MODULE, 1)
        for each in site.glob("*.dist-info"):
            shutil.rmtree(each)
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [201]


def test_the_copy_has_its_own_files_and_no_others(engine: Any, site: Path) -> None:
    install(site, "1.0.0", **code(1))
    (site / "stranger.py").touch()
    (site / "counter_code" / "notes.txt").touch()
    before = unpacked()
    engine.load_module_version(MODULE, 1)
    (copied,) = unpacked() - before
    names = {each.name for each in copied.iterdir()}
    assert names == {"counter_code", "grove_counter-1.0.0.dist-info"}
    assert {each.name for each in (copied / "counter_code").glob("*.*")} == {"__init__.py", "lazy.py"}


def test_an_installation_that_broke_off_is_refused(engine: Any, site: Path) -> None:
    install(site, "1.0.0", **code(1))
    (site / "counter_code" / "lazy.py").unlink()
    with pytest.raises(UnsettledPackage, match=r"counter@1\.0\.0: .*lazy\.py"):
        engine.load_module_version(MODULE, 1)
    assert SETTLE_SECONDS <= 1
    assert not engine.is_version_loaded(MODULE, 1)


def test_where_no_copy_can_be_made_it_says_so(engine: Any, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "1.0.0", **code(1))
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(site / "nowhere"))
        with pytest.raises(BrokenPackage, match=r"counter@1\.0\.0: .*cannot be copied into .*nowhere.*TMPDIR"):
            engine.load_module_version(MODULE, 1)
    engine.load_module_version(MODULE, 1)


def test_what_python_compiled_comes_along(engine: Any, site: Path) -> None:
    install(site, "1.0.0", **code(1))
    compiled = Path(importlib.util.cache_from_source(str(site / "counter_code" / "lazy.py")))
    compiled.parent.mkdir()
    compiled.write_bytes(b"what does not fit is compiled anew")
    before = unpacked()
    engine.load_module_version(MODULE, 1)
    (copied,) = unpacked() - before
    assert (copied / compiled.relative_to(site)).read_bytes() == compiled.read_bytes()
    os.utime(site / "counter_code" / "lazy.py", (0, 0))
    engine.spawn(MODULE, n=[100])
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [201]


def editable(site: Path, root: Path, layout: str, project: str) -> None:
    """Install a project for editing: metadata in `site`, its code where it is."""
    (root / layout / "counter_code").mkdir(parents=True)
    (root / layout / "counter_code" / "__init__.py").write_text(LAZY.format(number=1))
    (root / layout / "counter_code" / "lazy.py").write_text("OWN = 100")
    (root / "pyproject.toml").write_text(project)
    noted = json.dumps({"dir_info": {"editable": True}, "url": root.as_uri()})
    install(site, "1.0.0", source="")
    shutil.rmtree(site / "counter_code")
    (info,) = site.glob("*.dist-info")
    (info / "direct_url.json").write_text(noted)
    (info / "RECORD").write_text(f"x.pth,\n{info.name}/RECORD,,\n".replace("x.pth,", "x.pth,,"))


@pytest.mark.parametrize("layout", [".", "src"])
@pytest.mark.parametrize("project", ["[project]\nname = 'x'\n", None], ids=["noted", "found as an import would"])
def test_an_editable_installation_runs_from_a_copy_of_its_source(
    engine: Any, site: Path, tmp_path: Path, layout: str, project: str | None
) -> None:
    root = tmp_path / "project with a space"
    editable(site, root, layout, project or "")
    sys.path.append(str(root / layout))  # as the .pth file of the installation would
    try:
        if project is None:
            (root / "pyproject.toml").unlink()
        engine.load_module_version(MODULE, 1)
        engine.spawn(MODULE, n=[100])
        (root / layout / "counter_code" / "lazy.py").write_text("half of a")
        engine.tick(1.0)
        assert engine.entities(MODULE)["n"].tolist() == [201]
        (root / layout / "counter_code" / "lazy.py").write_text("OWN = 300")
        engine.patch_module_version(MODULE, 1)
        engine.tick(1.0)
        assert engine.entities(MODULE)["n"].tolist() == [502]
        assert "counter_code" not in sys.modules
    finally:
        sys.path.remove(str(root / layout))


class Told:
    """A plugin that tells of versions itself."""

    def __init__(self, record: VersionRecord) -> None:
        self.record = record

    @hookimpl
    def grove_discover_versions(self) -> list[VersionRecord]:
        return [self.record]


def test_a_version_that_is_no_distribution_of_its_own_runs_from_where_it_lies(site: Path, isolation: Shared) -> None:
    (site / "told_code.py").write_text(version("e.n += 7", schema='n="i8"'))
    record = VersionRecord(MODULE, ONE, "of no distribution", "told_code:Main", str(site), (str(site),))
    before = unpacked()
    with MultiVersionEngine(PATIENT, clock=ManualClock(), isolation=isolation, plugins=[Told(record)]) as engine:
        engine.load_module_version(MODULE, 1)
        engine.spawn(MODULE, n=[100])
        engine.tick(1.0)
        assert engine.entities(MODULE)["n"].tolist() == [107]
        assert unpacked() == before


def test_no_worker_has_a_version_package_before_it_is_loaded(engine: Any, site: Path) -> None:
    install(
        site, "1.0.0", source=version("e.n += 1", schema='n="i8"', top="assert 'grove-copy-' in __file__, __file__")
    )
    engine.load_module_version(MODULE, 1)


def source(root: Path, number: str, text: str) -> Path:
    (root / "src" / "counter_code").mkdir(parents=True, exist_ok=True)
    (root / "src" / "counter_code" / "__init__.py").write_text(text)
    (root / "pyproject.toml").write_text(
        f"[project]\nname = 'counter'\nversion = '{number}'\n"
        f'[project.entry-points."grove_core.modules"]\n{MODULE} = "counter_code:Main"\n'
    )
    return root


def test_a_source_folder_is_loaded_without_being_built(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = open_engine({})
    one = source(tmp_path / "one", "1.0.0", version("e.n += 1", schema='n="i8"'))
    (one / "tests").mkdir()
    (one / "src" / "counter_code" / ".#__init__.py").symlink_to("nobody@nowhere:1")  # as Emacs locks a file
    before = unpacked()
    report = engine.load_module_version(MODULE, 1, path=str(one))
    assert (report.version, report.distribution) == (ONE, "counter")
    (copied,) = unpacked() - before
    assert {each.name for each in copied.iterdir()} == {"counter_code", "counter-1.0.0.dist-info"}
    engine.spawn(MODULE, n=[100])
    source(one, "1.0.0", "half of a")
    kill(engine, ONE)
    engine.tick(1.0)
    assert engine.entities(MODULE)["n"].tolist() == [101]


def test_a_source_folder_that_does_not_say_what_is_needed(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = open_engine({})
    one = source(tmp_path / "one", "1.0.0", "")
    (one / "pyproject.toml").write_text("[project]\nname = 'counter'\ndynamic = ['version']\n")
    with pytest.raises(BrokenPackage, match="dynamic version; write"):
        engine.load_module_version(MODULE, 1, path=str(one))


Made = Callable[..., VersionRecord]


def test_the_part_of_a_namespace_that_has_it_is_taken(site: Path, tmp_path: Path) -> None:
    install(site, "1.0.0", source="")
    (info,) = site.glob("*.dist-info")
    (info / "RECORD").unlink()
    for place, name in (("one", "other"), ("two", "wanted")):
        (tmp_path / place / "spaced" / name).mkdir(parents=True)
        sys.path.append(str(tmp_path / place))
    try:
        record = VersionRecord(MODULE, ONE, "x", "spaced.wanted:Main", str(site), (), None, str(info))
        files = files_of(record)
        assert files is not None
        assert (files.parts[0].folder, files.parts[0].names) == (tmp_path / "two", ("spaced",))
    finally:
        del sys.path[-2:]
