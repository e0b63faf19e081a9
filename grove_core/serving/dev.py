"""`grove dev`: an engine that ticks a version while its author writes it; each save patches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from packaging.version import Version

from grove_core.base.errors import InvalidInput, UnknownModule
from grove_core.engine import MultiVersionEngine
from grove_core.parts import sources
from grove_core.parts.choosing import choose
from grove_core.parts.discovery import GROUP, records_in
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.settings import Choice, Settings
from grove_core.parts.sinks import InlineSink
from grove_core.serving.loop import Loop, LoopReport
from grove_core.serving.patching import Patcher
from grove_core.serving.program import ended_by_signals, set_up
from grove_core.serving.saves import Saves
from grove_core.serving.telling import Line, Narrator, Tell, Tone

USUAL = 100
"""So many entities are born where nobody says how many."""
SINK = "grove dev"
LOGGED = "structlog"


@dataclass(frozen=True)
class Plan:
    """What is developed, and how it is run."""

    folder: Path
    """A project's source, or a folder that an installer filled."""
    module: str | None = None
    """Which module of it; None: the one there is."""
    settings: Path | None = None
    """A settings file, whose other modules are loaded, and whose `setup` is called."""
    spawn: int | None = None
    """How many entities are born with default values; None: as many as there are with `setup`, else 100."""
    rate: float | None = None
    """Ticks a second; None: what the settings say."""


def develop(plan: Plan, tell: Tell, ticks: int | None = None) -> LoopReport:
    """Load a version from its source, tick it, and patch it whenever it is saved, until SIGTERM or Ctrl-C.

    Args:
        plan: what is developed.
        tell: gets each line, from any thread.
        ticks: so many, and it ends by itself.

    Raises:
        GroveError: nothing runs: it cannot be loaded, or a setting does not fit.
    """
    settings = Settings() if plan.settings is None else Settings.read(plan.settings)
    saves = Saves(plan.folder)
    module, version = _what_is_there(saves.folder, plan.module)
    narrator = Narrator(tell, saves.folder, saves.base())
    settings = msgspec.structs.replace(
        settings, sinks=(*(sink for sink in settings.sinks if sink.use != LOGGED), Choice(SINK))
    )
    with MultiVersionEngine(settings, plugins=[_Told(narrator)]) as engine:
        loop = Loop(engine, settings.run.rate if plan.rate is None else plan.rate)
        with ended_by_signals(loop):
            first = saves.look()
            _load(engine, plan, settings, module, version)
            _populate(engine, plan, settings, module)
            _tell_begin(tell, engine, module, loop, saves)
            patcher = Patcher(engine, module, version, saves, narrator, tell, loop.stop)
            patcher.begin(first if saves.look() == first else None)
            try:
                return loop.run(ticks)
            finally:
                patcher.stop()
                engine.close()  # a patch that is being made ready ends with it
                patcher.end()


class _Told:
    """A plugin with one sink: the narrator."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator

    @hookimpl
    def grove_register_sinks(self) -> Mapping[str, Callable[..., InlineSink]]:
        return {SINK: lambda: self._narrator}


def _what_is_there(folder: Path, module: str | None) -> tuple[str, Version]:
    """Return the module in a folder, and its version; the highest, where an installer put several there.

    Raises:
        UnknownModule, InvalidInput: there is none, or it must be said which.
        BrokenPackage: a project does not say plainly what it is.
    """
    if not folder.is_dir():
        raise UnknownModule(f"{folder} is no folder: name a project's source, or one filled by `pip install --target`")
    if sources.is_source(folder):
        source = sources.read(folder)
        there = {name: Version(source.version) for name in source.entry_points[GROUP]}
    else:
        records = records_in([str(folder)])
        names = {record.module for record in records if record.error is None}
        there = {name: version for name in names if (version := choose(records, name, ">=0").version) is not None}
    if module is None and len(there) > 1:
        raise InvalidInput(f"{folder} has the modules {', '.join(sorted(there))}; say which: --module NAME")
    name = next(iter(there), None) if module is None else module
    if name is None or name not in there:
        raise UnknownModule(
            f"{folder} has {', '.join(sorted(there)) or 'no module'}; a project has a pyproject.toml with an entry "
            f"point in {GROUP}",
            module=module,
        )
    return name, there[name]


def _load(engine: MultiVersionEngine, plan: Plan, settings: Settings, module: str, version: Version) -> None:
    """Load what is developed, and the other modules that the settings list; their order is kept."""
    listed = settings.run.modules
    for name, requirement in (listed if module in listed else {module: str(version), **listed}).items():
        if name == module:
            engine.load_module_version(module, str(version), path=str(plan.folder))
        elif not engine.is_version_loaded(name, ">=0"):  # else it came with what needs it
            engine.load_module_version(name, requirement)
    if plan.settings is not None:
        engine.config.watch(plan.settings)


def _populate(engine: MultiVersionEngine, plan: Plan, settings: Settings, module: str) -> None:
    """Let entities be born: as `setup` does, and with default values."""
    if settings.run.setup is not None and plan.settings is not None:
        set_up(engine, settings.run.setup, plan.settings.absolute().parent)
    count = (USUAL if settings.run.setup is None else 0) if plan.spawn is None else plan.spawn
    if count:
        ids = engine.entities(module)["id"]
        engine.spawn(module, id=np.arange(count) + (1 + ids.max() if len(ids) else 1))


def _tell_begin(tell: Tell, engine: MultiVersionEngine, module: str, loop: Loop, saves: Saves) -> None:
    entities = len(engine.entities(module)["id"])
    text = (
        f"{module}@{engine.stable_version(module)} from {saves.folder}: {entities:,} entities, {loop.rate:g} ticks a "
        f"second. Save a file, and it is patched; Ctrl-C ends it."
    )
    tell(Line(Tone.GOOD, "runs", text))
