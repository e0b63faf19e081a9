"""`grove run`: an engine as its settings say, ticked until somebody ends it."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from grove_core.base.errors import InvalidInput, SettingsError
from grove_core.engine import MultiVersionEngine
from grove_core.parts.settings import Settings
from grove_core.serving.loop import Loop, LoopReport

ENDING = (signal.SIGTERM, signal.SIGINT)
"""The signals that end it, after the tick that is on."""


def serve(path: Path, ticks: int | None = None) -> LoopReport:
    """Load the modules that a settings file lists, have them made ready, and tick until SIGTERM or Ctrl-C.

    Configs of modules that change in the file meanwhile are taken over.

    Args:
        path: the settings file; the folder that it is in is one where `setup` is looked for.
        ticks: so many, and it ends by itself; None: until a signal.

    Raises:
        GroveError: a setting, a module or `setup` does not fit; nothing runs.
    """
    settings = Settings.read(path)
    if not settings.run.modules:
        raise SettingsError(
            f'{path}: no module is listed; write which ones under [grove.run], such as modules = {{gamelogic = "1"}}'
        )
    with MultiVersionEngine(settings) as engine:
        loop = Loop(engine, settings.run.rate)
        with ended_by_signals(loop):
            engine.config.watch(path)
            for module, version in settings.run.modules.items():
                engine.load_module_version(module, version)
            if settings.run.setup is not None:
                set_up(engine, settings.run.setup, path.absolute().parent)
            return loop.run(ticks)


def set_up(engine: MultiVersionEngine, target: str, folder: Path) -> None:
    """Call the function that makes the engine ready.

    Args:
        engine: what it is called with.
        target: `package.module:function`.
        folder: where the package is looked for, besides `sys.path`.

    Raises:
        InvalidInput: there is none; what it raises comes as it is.
    """
    name, _, function = target.partition(":")
    sys.path.insert(0, str(folder))
    try:
        made = getattr(importlib.import_module(name), function, None)
    except ImportError as error:
        raise InvalidInput(f"run.setup: {name} cannot be imported: {error}") from error
    finally:
        sys.path.remove(str(folder))
    if not callable(made):
        raise InvalidInput(f"run.setup: {name} has no function {function}")
    made(engine)


@contextmanager
def ended_by_signals(loop: Loop) -> Iterator[None]:
    """Have signals end the loop, and nothing more, meanwhile."""

    def end(number: int, frame: FrameType | None) -> None:
        loop.stop()

    before = {number: signal.signal(number, end) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
