"""`grove dev`: what is saved runs, what does not run is shown, and no entity loses its state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from grove_core.serving.saves import Saves
from grove_core.serving.telling import authors_part, in_sources, split_traceback

from ..integration.conftest import all_gone

GROVE = [sys.executable, "-c", "from grove_core.cli.main import main; main()"]
PROJECT = """
[project]
name = "tanks"
version = "{version}"
[project.entry-points."grove_core.modules"]
tanks = "tanks:Tanks"
"""
CODE = """
from grove_core import Module, Schema

class Tanks(Module):
    schema = Schema({schema})

    def process(self, dt):
        e = self.entities
        e.n += 1
        if e.n[0] > 1:  # not in the warm-up
            {then}
"""


def code(then: str = "pass", schema: str = 'n="i8"') -> str:
    return CODE.format(then=then, schema=schema)


class Project:
    """A source folder, whose files are saved as editors do: written beside, and put in place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "src" / "tanks").mkdir(parents=True)
        self.save(code())
        self.is_version("1.0.0")

    def save(self, source: str) -> None:
        _put(self.folder / "src" / "tanks" / "__init__.py", source)

    def is_version(self, number: str) -> None:
        _put(self.folder / "pyproject.toml", PROJECT.format(version=number))


def _put(target: Path, text: str) -> None:
    beside = target.with_name(f"{target.name}~")
    beside.write_text(text, "utf-8")
    beside.replace(target)


class Running:
    """`grove dev` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out: IO[str] = process.stdout  # type: ignore[assignment]
        self.seen: list[str] = []

    def wait_for(self, *words: str) -> str:
        """Return the next line that has these words."""
        for line in self.out:
            self.seen.append(line)
            if all(word in line for word in words):
                return line
        raise AssertionError(f"it ended without {words}: {''.join(self.seen)}")

    def children(self) -> set[int]:
        """Return the processes that it started, from any of its threads."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {int(each) for task in tasks for each in task.read_text().split()}


Run = Callable[..., Running]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def run(project: Project, ways_in_toml: str, tmp_path: Path) -> Iterator[Run]:
    """`run(*options, toml="")`: it runs, once this returns."""
    processes = []

    def start(*options: str, toml: str = "", into: Path = project.folder) -> Running:
        (tmp_path / "grove.toml").write_text(f"[grove]\n{ways_in_toml}{toml}")
        command = [*GROVE, "dev", str(into), "--settings", str(tmp_path / "grove.toml"), *options]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=environment,
        )
        processes.append(process)
        running = Running(process)
        running.wait_for("runs", "tanks@1.0.0")
        return running

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_session_of_an_author(project: Project, run: Run) -> None:
    running = run("--spawn", "3", "--rate", "200")

    project.save(code("print('number two', flush=True)"))
    assert "3 entities kept" in running.wait_for("patched", "tanks@1.0.0")

    project.save(code("1 +"))
    assert "the old code goes on" in running.wait_for("refused", "SyntaxError")
    assert f'File "{project.folder}/src/tanks/__init__.py", line 11' in running.wait_for("File")
    running.wait_for("1 +")
    running.wait_for("SyntaxError: invalid syntax")

    project.save(code("print('number two', flush=True)"))
    running.wait_for("as it runs")

    project.save(code("raise ValueError(f'n was {e.n[0]}')"))
    running.wait_for("patched")
    reason = running.wait_for("fault", "(raise)", "ValueError: n was ")
    running.wait_for(f'File "{project.folder}/src/tanks/__init__.py", line 11, in process')
    running.wait_for("restarted")
    running.wait_for("paused")

    project.save(code("1 +"))
    assert "its module is paused" in running.wait_for("refused", "SyntaxError")

    project.is_version("1.0.1")
    project.save(code("if not hasattr(self, 'told'): self.told = print('n is', e.n[0], flush=True)"))
    assert "3 entities kept" in running.wait_for("patched", "tanks@1.0.0 -> 1.0.1")
    running.wait_for("goes on")
    before, after = reason.split("n was ")[1].split()[0], running.wait_for("n is ").split()[-1]
    assert int(after) == int(before), "it did the tick at which it had failed"

    project.save(code(schema='n="i8", x="f4"'))
    assert "x is new" in running.wait_for("refused", "another schema")
    running.wait_for("start `grove dev` anew")

    children = running.children()
    os.kill(running.process.pid, signal.SIGTERM)
    running.wait_for("ticks in")
    assert running.process.wait(60) == 0
    assert children
    assert all_gone(children)


NEEDY = """
from grove_core import Module, Needs, Schema

class Main(Module):
    schema = Schema(n="i8")
    tanks = Needs("tanks")

    def process(self, dt):
        self.tanks.fuel(unit="l")
"""


def test_a_module_that_a_save_made_fail_goes_on_after_the_fix(
    project: Project, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offering(argument: str) -> str:
        return f"from grove_core import service\n{code()}\n    @service\n    def fuel(self, *, {argument}): return 1\n"

    (tmp_path / "needy.py").write_text(NEEDY)
    info = tmp_path / "needy-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: needy\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text("[grove_core.modules]\nneedy = needy:Main\n")
    (info / "RECORD").write_text("needy.py,,\nneedy-1.0.0.dist-info/METADATA,,\nneedy-1.0.0.dist-info/RECORD,,\n")
    (tmp_path / "begin.py").write_text("def setup(engine):\n    engine.spawn('needy', n=[5, 6])\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    project.save(offering("unit"))
    running = run("--spawn", "3", toml="[grove.run]\nmodules = {needy = '1'}\nsetup = 'begin:setup'\nrate = 200\n")

    project.save(offering("measure"))
    running.wait_for("fault", "needy@1.0.0", "ServiceFailed")
    running.wait_for("paused", "needy")
    project.save(offering("unit"))
    running.wait_for("goes on", "needy")
    os.kill(running.process.pid, signal.SIGTERM)
    assert running.process.wait(60) == 0


def test_of_many_quick_saves_the_last_one_runs(project: Project, run: Run) -> None:
    running = run()
    target = project.folder / "src" / "tanks" / "__init__.py"
    for number in range(60):
        project.save(code()) if number % 2 else target.write_text(code("1 +"))
    target.write_text(code("print('the last', flush=True)"))
    running.wait_for("the last")

    away = project.folder.with_name("away")
    project.folder.rename(away)
    running.wait_for("refused", "neither a wheel", "the old code goes on")
    away.rename(project.folder)
    running.wait_for("as it runs")
    os.kill(running.process.pid, signal.SIGINT)
    assert running.process.wait(60) == 0


def test_what_a_save_is_not(project: Project, run: Run) -> None:
    running = run()
    package = project.folder / "src" / "tanks"
    (package / ".__init__.py.swp").write_text("an editor's")
    (project.folder / "tests").mkdir()
    (package / "__init__.py").touch()
    project.save(code())
    project.save(code("print('a save', flush=True)"))
    running.wait_for("a save")
    told = [line.split()[1] for line in running.seen if line[0].isdigit()]
    assert told in (["runs", "patched", "printed"], ["runs", "printed"]), "nothing but the save was told of"


def test_entities_of_the_settings(project: Project, run: Run, tmp_path: Path) -> None:
    (tmp_path / "begin.py").write_text("def setup(engine):\n    engine.spawn('tanks', n=[5, 6])\n")
    running = run("--ticks", "3", toml="[grove.run]\nsetup = 'begin:setup'\nrate = 500\n")
    assert "2 entities, 500 ticks a second" in running.seen[-1]
    running.wait_for("3 ticks in")
    assert running.process.wait(60) == 0


@pytest.mark.parametrize(
    ("project_toml", "code", "told"),
    [
        (PROJECT.replace("{version}", "1.0.0"), 1, "SyntaxError"),
        (PROJECT.replace('version = "{version}"', 'dynamic = ["version"]'), 1, "dynamic version"),
        (PROJECT.format(version="1.0.0") + 'cars = "tanks:Cars"\n', 2, "--module NAME"),
        (None, 3, "has no module"),
    ],
)
def test_what_cannot_be_begun_with_ends_it(project: Project, project_toml: str | None, code: int, told: str) -> None:
    project.save("1 +")
    (project.folder / "pyproject.toml").unlink()
    if project_toml is not None:
        (project.folder / "pyproject.toml").write_text(project_toml)
    ran = subprocess.run([*GROVE, "dev", str(project.folder)], capture_output=True, text=True, timeout=100, check=False)
    assert (ran.returncode, told in ran.stderr) == (code, True), ran.stderr
    assert "Traceback" not in ran.stderr
    if told == "SyntaxError":
        assert f'File "{project.folder}/src/tanks/__init__.py", line 1' in ran.stdout
        assert "worker/main.py" not in ran.stdout


def test_a_look_sees_files_and_no_folders(project: Project) -> None:
    saves = Saves(project.folder)
    look = saves.look()
    assert look is not None
    assert {name for name, *_ in look.files} == {"pyproject.toml", "tanks/__init__.py"}
    contents = saves.contents(look)
    (project.folder / "src" / "tanks" / "__init__.py").touch()
    touched = saves.look()
    assert touched is not None
    assert touched != look
    assert saves.contents(touched) == contents
    project.save(code("1"))
    saved = saves.look()
    assert saved is not None
    assert saves.contents(saved) != contents
    _put(project.folder / "pyproject.toml", "half of")
    assert saves.look() is None, "what changed just now may be half written"


def test_a_look_at_a_folder_that_is_away_or_empty_says_so(tmp_path: Path) -> None:
    """As between `rm -rf` and the `pip install --target` that fills it anew."""
    saves = Saves(tmp_path / "build")
    for told in ("is neither a wheel", "no package is installed in"):
        look = saves.look()
        assert look is not None
        assert told in look.problem
        assert saves.contents(look) is not None
        saves.folder.mkdir(exist_ok=True)
        end = time.monotonic() + 20
        while saves.look() is None:
            assert time.monotonic() < end, "nobody writes it"
            time.sleep(0.01)


TRACEBACK = f"""it raised: x
Traceback (most recent call last):
  File "{Path(in_sources.__code__.co_filename).parents[1]}/worker/main.py", line 1, in load
    module = _import(entry)
  File "<frozen importlib._bootstrap>", line 1204, in _gcd_import
  File "/tmp/grove-copy-1-abc/tanks/__init__.py", line 3, in process
    1 / 0
    ~~^~~
ZeroDivisionError: division by zero"""


def test_a_traceback_shows_what_the_author_wrote(project: Project) -> None:
    message, traceback = split_traceback(TRACEBACK)
    assert message == "it raised: x"
    base = project.folder / "src"
    shown = in_sources(authors_part(traceback), project.folder, base).splitlines()
    assert shown[0] == f'  File "{base}/tanks/__init__.py", line 3, in process'
    assert shown[-1] == "ZeroDivisionError: division by zero"
    assert len(shown) == 4
    assert in_sources(f"{project.folder}/tanks/__init__.py", project.folder, base) == f"{base}/tanks/__init__.py"
    assert in_sources(f"{project.folder}/pyproject.toml: x", project.folder, base).startswith(
        str(project.folder / "py")
    )
