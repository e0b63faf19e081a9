"""Importing a version, and telling the engine what it is."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from grove_core.author.lens import as_data
from grove_core.author.module import Module
from grove_core.author.schema import Schema
from grove_core.author.services import needs_of, services_of
from grove_core.base.errors import PackageError
from grove_core.base.showing import brief
from grove_core.wire.messages import PROTOCOL, Introduced
from grove_core.worker.configs import newborn_columns, schema_of


def imported(entry_point: str, folders: Sequence[str] = ()) -> type[Module]:
    """Import the class that an entry point names.

    Args:
        entry_point: `package:Class`.
        folders: where the version's own files lie, the first of `sys.path`.

    Raises:
        PackageError: it names no module's class, or one without a schema; or another package than the version's own
            was imported under its name.
    """
    name, _, attribute = entry_point.partition(":")
    target: Any
    try:
        target = importlib.import_module(name.strip())
    except ModuleNotFoundError:  # perhaps it came since the zygote looked; reading every folder anew takes 1 ms
        importlib.invalidate_caches()
        target = importlib.import_module(name.strip())
    _refuse_another(name.strip().partition(".")[0], folders)
    for part in attribute.strip().split("."):
        target = getattr(target, part)
    if not (isinstance(target, type) and issubclass(target, Module)):
        raise PackageError(f"the entry point {entry_point} is {target!r}, not a subclass of grove_core.Module")
    if not isinstance(getattr(target, "schema", None), Schema):
        raise PackageError(f"{entry_point} has no schema; write `schema = Schema(...)` in the class")
    return target


def _refuse_another(top: str, folders: Sequence[str]) -> None:
    """Refuse a package that was found elsewhere: one without `__init__.py` gives way to any later one that has it.

    Raises:
        PackageError: another one was imported.
    """
    found = getattr(sys.modules.get(top), "__file__", None)
    own = next((Path(folder, top) for folder in folders if Path(folder, top).is_dir()), None)
    if own is not None and found is not None and not (own / "__init__.py").exists() and not _within(found, folders):
        raise PackageError(f"{own} has no __init__.py, and so {found} was imported in its place; write an __init__.py")


def _within(file: str, folders: Sequence[str]) -> bool:
    return any(Path(file).is_relative_to(folder) for folder in folders)


def introduction_of(module: Module) -> Introduced:
    """Return what a version is.

    Raises:
        PackageError: it does not say so in the way that it must.
    """
    kind = type(module)
    requirements = (*(each.requirement for each in needs_of(kind)), *_dependencies(module))
    return Introduced(
        PROTOCOL,
        module.schema.specs,
        as_data(module.lenses),
        tuple(dict.fromkeys(requirements)),
        bool(module.catch_up),
        keeps_document(module),
        kind.is_idle is not Module.is_idle,
        schema_of(kind),
        module.config_type is not None or bool(newborn_columns(kind)),
        kind.update_config is not Module.update_config,
        services_of(kind),
    )


def _dependencies(module: Module) -> tuple[str, ...]:
    named: object = module.get_dependencies()
    listed = tuple(named) if isinstance(named, Iterable) and not isinstance(named, str | bytes) else (None,)
    if not all(isinstance(each, str) for each in listed):
        raise PackageError(f"get_dependencies must return a list such as ['physics>=1.2,<2'], not {brief(named)}")
    return listed


def keeps_document(module: Module) -> bool:
    """Tell whether a version has a document: it says so by how it gives it."""
    return type(module).get_state is not Module.get_state
