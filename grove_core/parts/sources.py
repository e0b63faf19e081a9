"""A source folder: what its pyproject.toml says of a version, and where its import packages lie; nothing is built.

Only what stands there plainly is read: name, version and entry points under `[project]`. What only a build would tell
is refused, with what to write instead.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.version import InvalidVersion, Version

from grove_core.base.errors import BrokenPackage
from grove_core.base.showing import brief
from grove_core.parts.discovery import GROUP
from grove_core.parts.folders import is_of_no_package

PROJECT = "pyproject.toml"
OTHERWISE = "or fill a folder by `pip install --target FOLDER {root}`, which builds it, and load that"

ROOTS = ((("pdm", "build"), "package-dir"), (("uv", "build-backend"), "module-root"))
"""Where PDM and uv are told the folder of all packages: tables below `tool`, and the key in them."""


@dataclass(frozen=True)
class Layout:
    """Where the import packages and modules of a project lie."""

    base: Path
    """The folder that is searched for them."""
    names: tuple[str, ...]
    """Theirs, in it."""


@dataclass(frozen=True)
class Source:
    """What a source folder holds: a distribution that is not built."""

    name: str
    version: str
    entry_points: Mapping[str, Mapping[str, str]]
    """By their groups."""
    dependencies: tuple[str, ...]
    layout: Layout

    @property
    def metadata(self) -> dict[str, str]:
        """The files that an installation would have beside its packages: their names and texts."""
        info = f"{self.name.replace('-', '_').replace('.', '_')}-{self.version}.dist-info"
        needs = "".join(f"Requires-Dist: {each}\n" for each in self.dependencies)
        groups = (
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
            for group, entries in self.entry_points.items()
        )
        return {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n{needs}",
            f"{info}/entry_points.txt": "\n".join(groups),
        }


def is_source(folder: Path) -> bool:
    """Tell whether a folder is a project's source, and not one that an installer filled."""
    return (folder / PROJECT).is_file() and not any(folder.glob("*.dist-info"))


def read(root: Path) -> Source:
    """Read the pyproject.toml of a source folder.

    Raises:
        BrokenPackage: it does not say what is needed, or not plainly; with what to write.
    """
    tables = _tables(root)
    project = _table(root, tables, "project")
    if not project:
        otherwise = OTHERWISE.format(root=root)
        raise _broken(root, f"has no [project]; write name, version and entry points there, {otherwise}")
    name, version, entry_points = _name(root, project), _version(root, project), _entry_points(root, project)
    tops = tuple(dict.fromkeys(_top(value) for value in entry_points[GROUP].values()))
    dependencies = project.get("dependencies", [])
    if not (isinstance(dependencies, list) and all(isinstance(each, str) for each in dependencies)):
        raise _broken(root, "has project.dependencies that are no list of texts")
    return Source(name, version, entry_points, tuple(dependencies), _found(root, tops))


def layout(root: Path, top: str) -> Layout | None:
    """Return where the packages of a project lie, one of which is called `top`; None where that is not plain."""
    try:
        return _found(root, (top,))
    except BrokenPackage:
        return None


def _tables(root: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((root / PROJECT).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise _broken(root, f"cannot be read: {error}") from error


def _table(root: Path, tables: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return a table within tables; an empty one where there is none."""
    found = dict(tables)
    for name in names:
        found = found.get(name, {})
        if not isinstance(found, dict):
            raise _broken(root, f"has a {'.'.join(names)} that is no table")
    return found


def _name(root: Path, project: Mapping[str, Any]) -> str:
    name = project.get("name")
    if not isinstance(name, str) or not name or not all(each.isalnum() or each in "-_." for each in name):
        raise _broken(root, 'has no project.name; write name = "grove-mymodule"')
    return name


def _version(root: Path, project: Mapping[str, Any]) -> str:
    version = project.get("version")
    if version is None and "version" in project.get("dynamic", ()):
        otherwise = OTHERWISE.format(root=root)
        raise _broken(root, f'has a dynamic version; write version = "1.0.0" under [project], {otherwise}')
    if not isinstance(version, str):
        raise _broken(root, 'has no project.version; write version = "1.0.0"')
    try:
        return str(Version(version))
    except InvalidVersion:
        raise _broken(
            root, f"has the version {brief(version)}, which is not of PEP 440's form, such as 1.2.0"
        ) from None


def _entry_points(root: Path, project: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = _table(root, project, "entry-points")
    for group, entries in groups.items():
        if not isinstance(entries, dict) or not all(_is_plain(*entry) for entry in entries.items()):
            raise _broken(root, f"has entry points in {brief(group)} that are no table of names and texts")
    if not groups.get(GROUP):
        otherwise = OTHERWISE.format(root=root) if "entry-points" in project.get("dynamic", ()) else ""
        raise _broken(
            root,
            f'has no entry point that names a module; write [project.entry-points."{GROUP}"] and under it '
            f'mymodule = "package:Class" {otherwise}'.rstrip(),
        )
    return groups


def _is_plain(name: str, value: object) -> bool:
    """Tell whether an entry point can stand in a line of its own."""
    return isinstance(value, str) and all(text.isprintable() and text.strip() for text in (name, value))


def _top(entry_point: str) -> str:
    return entry_point.partition(":")[0].strip().partition(".")[0]


def _found(root: Path, tops: tuple[str, ...]) -> Layout:
    """Find packages where a build would: where the project says, else in `src`, else beside pyproject.toml.

    Beside pyproject.toml lie tests and tools as well: there it is the packages that are listed, or named by an entry
    point, elsewhere all.

    Raises:
        BrokenPackage: one is not there, or they lie in several folders.
    """
    tables = _tables(root)
    base, listed = _said(root, tables)
    if base is None:
        base = root / "src" if any(_name_in(root / "src", top) for top in tops) else root
    named = {top: _name_in(base, top) for top in (*tops, *listed)}
    if missing := [top for top, name in named.items() if not name]:
        raise _broken(
            root,
            f"names the package {brief(missing[0])}, which is neither {base / missing[0]} nor {base / missing[0]}.py; "
            f'move it there or into src, or say where it is, as by [tool.setuptools] package-dir = {{"" = "FOLDER"}}; '
            f"{OTHERWISE.format(root=root)}",
        )
    names = dict.fromkeys(named.values())
    if base != root:
        names |= dict.fromkeys(
            each.name for each in sorted(base.iterdir()) if not is_of_no_package(each.name) and _is_imported(each)
        )
    return Layout(base, tuple(names))


def _said(root: Path, tables: Mapping[str, Any]) -> tuple[Path | None, tuple[str, ...]]:
    """Return in which folder packages are by what the project says to its build tool, and those that are listed.

    Raises:
        BrokenPackage: it is more than one folder, or not one of the project's.
    """
    setuptools = _table(root, tables, "tool", "setuptools")
    packages, directories = setuptools.get("packages", []), _table(root, setuptools, "package-dir")
    paths = _listed_paths(root, tables)
    where = _texts(_table(root, packages, "find").get("where", [])) if isinstance(packages, dict) else []
    roots = [_table(root, tables, "tool", *names).get(key) for names, key in ROOTS]
    said = set(where) or set(map(str, directories.values())) or set(_texts(roots))
    folders = {str(path.parent) for path in paths} or said
    listed = [path.name for path in paths]
    listed += [name.partition(".")[0] for name in (*_texts(packages), *_texts(setuptools.get("py-modules", [])))]
    outside = any(PurePosixPath(each).is_absolute() or ".." in PurePosixPath(each).parts for each in folders)
    if len(folders) > 1 or set(directories) - {""} or outside:
        otherwise = OTHERWISE.format(root=root)
        raise _broken(root, f"has packages elsewhere than in one folder of its own; put them into one, {otherwise}")
    return root / folders.pop() if folders else None, tuple(listed)


def _listed_paths(root: Path, tables: Mapping[str, Any]) -> list[PurePosixPath]:
    """Return the packages that are listed with their folders, as hatch and Poetry have it."""
    build = _table(root, tables, "tool", "hatch", "build")
    hatch = _table(root, build, "targets", "wheel").get("packages", build.get("packages", []))
    poetry = _table(root, tables, "tool", "poetry").get("packages", [])
    entries = [each for each in poetry if isinstance(each, dict)] if isinstance(poetry, list) else []
    given = [
        PurePosixPath(str(each.get("from", "."))) / str(each.get("include", "")).partition("/")[0]  # then globs
        for each in entries
        if "wheel" in each.get("format", "wheel")
    ]
    return [*(PurePosixPath(each) for each in _texts(hatch)), *given]


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _name_in(base: Path, top: str) -> str:
    """Return what a package or module is called in a folder; nothing if it is not there."""
    return next((name for name in (top, f"{top}.py") if _is_imported(base / name)), "")


def _is_imported(path: Path) -> bool:
    """Tell whether a path can be imported: a folder, or a file with Python in it."""
    if path.is_dir():
        return path.name.isidentifier()
    return path.suffix == ".py" and path.stem.isidentifier() and path.is_file()


def _broken(root: Path, what: str) -> BrokenPackage:
    return BrokenPackage(f"{root / PROJECT} {what}")
