"""What every test may use: version packages written on the spot, and the versions of gamelogic it needs."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import pytest

from grove_core.base.records import VersionRecord
from grove_core.base.ways import MemoryKind, WireKind
from grove_core.isolation.process import ProcessIsolation
from grove_core.isolation.spawned import SpawnIsolation
from grove_core.parts.discovery import records_in
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice, Settings
from grove_core.runtime.state.context import Context

EXPLORE = "GROVE_EXPLORE"
"""Set in the environment, it draws other examples with each run; else they are the same, so that what fails fails."""
hypothesis.settings.register_profile("grove", deadline=None, derandomize=EXPLORE not in os.environ)
hypothesis.settings.load_profile("grove")  # no test fails because the machine is busy


class Ways(StrEnum):
    """Which ways the engines of the tests take, where a test does not choose itself: `GROVE_TEST_WAYS`."""

    USUAL = "usual"
    PLAIN = "plain"
    """No memfd, no SEQPACKET, no fork."""


WAYS = Ways(os.environ.get("GROVE_TEST_WAYS", Ways.USUAL))
PLAIN: dict[str, Any] = {"memory": MemoryKind.FILE, "isolation": Choice("spawn", {"wire": WireKind.STREAM.value})}
"""The settings that take the plainer ways."""

SOURCE = """
from grove_core import Module, Schema

class Main(Module):
    schema = Schema(x="f4")

    def process(self, dt):
        self.entities.x += dt
"""


def write_package(
    into: Path,
    module: str = "ledger",
    version: str = "1.0.0",
    source: str = SOURCE,
    *,
    distribution: str | None = None,
    import_name: str | None = None,
    entry_points: str | bytes | None = None,
    metadata: str | bytes | None = None,
    files: Mapping[str, str] = {},
) -> Path:
    """Write one version package into a folder, as `pip install --target` would, and return the folder.

    `entry_points` and `metadata` replace these files' text, so that a test can break them; `files` are
    further files of the distribution, by their path.
    """
    distribution = distribution or f"grove-{module}-v{version}"
    import_name = import_name or re.sub(r"\W", "_", f"{module}_v{version}")
    stem = f"{re.sub(r'[-_.]+', '_', distribution)}-{version}.dist-info"
    written: dict[str, str | bytes] = {
        f"{import_name.replace('.', '/')}/__init__.py": source,
        **files,
        f"{stem}/METADATA": metadata
        if metadata is not None
        else f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        f"{stem}/entry_points.txt": entry_points
        if entry_points is not None
        else f"[grove_core.modules]\n{module} = {import_name}:Main\n",
        f"{stem}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{stem}/RECORD"
    written[record] = "".join(f"{name},{_hashed(content)}\n" for name, content in written.items()) + f"{record},,\n"
    for name, content in written.items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    return into


def _hashed(content: str | bytes) -> str:
    """Return what a RECORD says of a file, as pip writes it."""
    raw = content.encode() if isinstance(content, str) else content
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode().rstrip('=')},{len(raw)}"


class InstalledIn:
    """A plugin: the versions in these folders are installed, besides those that are."""

    def __init__(self, *folders: Path) -> None:
        self.folders = [str(folder) for folder in folders]

    @hookimpl
    def grove_discover_versions(self) -> list[VersionRecord]:
        """Return what the folders hold."""
        return records_in(self.folders)


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., Path]:
    """`package(module, version, source, ..., into=None) -> folder`: see `write_package`; a folder each."""

    numbers = itertools.count()

    def make(*args: Any, into: Path | None = None, **kwargs: Any) -> Path:
        return write_package(into or tmp_path / f"package{next(numbers)}", *args, **kwargs)

    return make


@pytest.fixture
def wheel(package: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """`wheel(module, version, source, ...) -> path` of a real wheel."""

    def make(*args: Any, **kwargs: Any) -> Path:
        folder = package(*args, **kwargs)
        info = next(folder.glob("*.dist-info"))
        path = tmp_path / f"{info.stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(each for each in folder.rglob("*") if each.is_file()):
                archive.write(file, file.relative_to(folder))
        return path

    return make


@pytest.fixture
def installed() -> type[InstalledIn]:
    """`installed(*folders)`: a plugin for `MultiVersionEngine(plugins=[...])` that finds what they hold."""
    return InstalledIn


@pytest.fixture(scope="session")
def ways() -> Ways:
    """The ways that these tests take."""
    return WAYS


@pytest.fixture(scope="session", autouse=True)
def _taken_by_every_engine(ways: Ways) -> Iterator[None]:
    """Have every engine of this process take the ways that are forced, unless its settings choose others."""
    usual, make = Settings(), Context.__init__

    def forced(self: Context, *, settings: Settings, **rest: Any) -> None:
        instead = {name: way for name, way in PLAIN.items() if getattr(settings, name) == getattr(usual, name)}
        make(self, settings=msgspec.structs.replace(settings, **instead), **rest)

    with pytest.MonkeyPatch.context() as patch:
        if ways is Ways.PLAIN:
            patch.setattr(Context, "__init__", forced)
        yield


@pytest.fixture(scope="session")
def ways_in_toml(ways: Ways) -> str:
    """The same for an engine of another process: lines of the table `[grove]` of its `grove.toml`."""
    return 'memory = "file"\nisolation = {use = "spawn", wire = "stream"}\n' if ways is Ways.PLAIN else ""


@pytest.fixture(scope="session")
def isolation(ways: Ways) -> Iterator[ProcessIsolation | SpawnIsolation]:
    """One for many engines: each is given it, and none closes it."""
    shared = SpawnIsolation(WireKind.STREAM) if ways is Ways.PLAIN else ProcessIsolation()
    yield shared
    shared.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests whose versions of gamelogic are not installed."""
    there = {
        record.version.major
        for record in records_in(None)
        if record.module == "gamelogic" and record.version is not None and record.error is None
    }
    for item in items:
        for marker in item.iter_markers("needs"):
            if missing := sorted(set(marker.args) - there):
                names = ", ".join(f"gamelogic {major}" for major in missing)
                item.add_marker(pytest.mark.skip(reason=f"not installed: {names}"))
