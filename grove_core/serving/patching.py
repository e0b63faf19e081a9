"""Patching a version whenever its files were saved, while another thread ticks it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from packaging.version import Version

from grove_core.base.errors import EngineClosed, GroveError, NothingToPatch, PatchRefused, UnsettledPackage
from grove_core.engine import MultiVersionEngine
from grove_core.serving.saves import Look, Saves
from grove_core.serving.telling import Line, Narrator, Tell, Tone, authors_part, in_sources, split_traceback

LOOK_SECONDS = 0.05
"""How far apart looks at the files are."""
SHARE = 20
"""A look may take one part in so many of the time: those at large folders are further apart."""
SLACK = 0.1
"""By so much, in seconds, the system's clock of files may be behind, and more."""
END_SECONDS = 30.0
"""How long a patch that is on is waited for at the end."""
ANOTHER_ONE = (
    "It cannot take the place of what runs: start `grove dev` anew to begin with it, or give it another version, with "
    "a lens, and load it beside this one."
)


class Patcher:
    """Patches a version whenever its files were saved, in a thread of its own: ticks go on meanwhile.

    Args:
        engine: the engine that has it.
        module: its module.
        version: its number; a patch release changes it.
        saves: its files.
        narrator: tells of patches; it is told when the files were saved.
        tell: gets each line.
        broken: called if the thread ends by an error that is none of the version's.
    """

    def __init__(
        self,
        engine: MultiVersionEngine,
        module: str,
        version: Version,
        saves: Saves,
        narrator: Narrator,
        tell: Tell,
        broken: Callable[[], None],
    ) -> None:
        self._engine, self._module, self._version = engine, module, version
        self._saves, self._narrator, self._tell = saves, narrator, tell
        self._broken = broken
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="grove dev")
        self._error: BaseException | None = None
        self._seen: Look | None = None
        self._contents: str | None = None
        """Of what was tried last."""
        self._rested = time.time()
        """When a look last found nothing saved, in seconds since 1970."""
        self._good = True
        """Whether what was tried last runs."""

    def begin(self, runs: Look | None) -> None:
        """Begin to look.

        Args:
            runs: the look at what was loaded; None if that was being written.
        """
        self._contents = None if runs is None else self._saves.contents(runs)
        self._seen = None if self._contents is None else runs
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def end(self) -> None:
        """Wait until it has ended, once it was stopped and the engine closed.

        Raises:
            BaseException: what ended it before.
        """
        self._thread.join(END_SECONDS)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        wait = LOOK_SECONDS
        try:
            while not self._stop.wait(wait):
                began = time.perf_counter()
                look = self._saves.look()
                wait = max(LOOK_SECONDS, SHARE * (time.perf_counter() - began))
                if look == self._seen:
                    self._rested = time.time()
                elif look is not None:
                    self._saved(look)
        except EngineClosed:
            pass
        except BaseException as error:
            self._error = error
            self._broken()

    def _saved(self, look: Look) -> None:
        """Patch what was saved, unless it is what was tried last, and that runs or was refused."""
        contents = self._saves.contents(look)
        if contents is None:
            return
        if contents == self._contents and not self._engine.is_paused(self._module):
            self._seen = look
            return
        try:
            # What is put there with the time it had elsewhere was not saved then.
            with self._narrator.patching(look.newest if look.newest > self._rested - SLACK else None):
                report = self._engine.patch_module_version(
                    self._module, str(self._version), path=str(self._saves.folder)
                )
        except UnsettledPackage as error:
            if self._saves.look() != look:
                return  # somebody writes
            self._tried(look, contents, error)
        except EngineClosed:
            raise
        except NothingToPatch:
            if not self._good:
                self._tell(Line(Tone.NOTE, "as it runs", f"{self._module}@{self._version}: nothing to patch"))
            self._tried(look, contents)
        except GroveError as error:
            self._tried(look, contents, error)
        else:
            self._version = report.target
            self._tried(look, contents)
            self._wake_others()

    def _wake_others(self) -> None:
        """Let modules go on that need others, and that paused since code that was saved before failed them."""
        for module in dict.fromkeys(need.module for need in self._engine.dependencies()):
            if module == self._module or not self._engine.is_paused(module):
                continue
            try:
                with self._narrator.patching(None):  # its own code in its place once more
                    self._engine.patch_module_version(module, str(self._engine.stable_version(module)))
            except EngineClosed:
                raise
            except GroveError as error:
                reason = split_traceback(error.message)[0]
                self._tell(Line(Tone.TROUBLE, "paused", f"{module}: it does not go on yet: {reason}"))

    def _tried(self, look: Look, contents: str, error: GroveError | None = None) -> None:
        """Note what came of what was saved. What is saved meanwhile is seen by the next look."""
        self._seen, self._contents, self._good = look, contents, error is None
        if error is not None:
            self._tell(self._refused(error))

    def _refused(self, error: GroveError) -> Line:
        """Tell of an error, with the lines of the author's files that it shows."""
        base = self._saves.folder
        with contextlib.suppress(GroveError):
            base = self._saves.base()
        message, traceback = split_traceback(in_sources(error.message, self._saves.folder, base))
        below = authors_part(traceback)
        reason = message.splitlines()[0] if message else type(error).__name__
        more = [*message.splitlines()[1:], *below.splitlines()]
        goes_on = "its module is paused" if self._engine.is_paused(self._module) else "the old code goes on"
        if isinstance(error, PatchRefused):
            more.append(ANOTHER_ONE)
        where = f"{self._module}@{self._version}"
        return Line(Tone.TROUBLE, "refused", f"{where}: {reason}; {goes_on}", "\n".join(more))
