"""Calls that put other code in the place of a loaded version."""

from __future__ import annotations

import time
from pathlib import Path

from grove_core.base.errors import GroveError, NothingToPatch, PatchRefused
from grove_core.base.events import EventKind
from grove_core.base.patches import PatchReport
from grove_core.base.records import VersionRecord
from grove_core.base.versions import Requirement
from grove_core.engine.core import Core
from grove_core.parts.discovery import collect
from grove_core.runtime.copies.packages import Packages
from grove_core.runtime.loading.fitting import code_for
from grove_core.runtime.loading.patching import Patch, carry_out
from grove_core.runtime.rows.roles import release
from grove_core.runtime.state.state import LoadedVersion
from grove_core.runtime.state.turns import Turn

DIGITS = 12
"""So many digits of a digest are told."""


class PatchCalls(Core):
    """Patches loaded versions, and undoes that."""

    def patch_module_version(self, module: str, version: Requirement, *, path: str | None = None) -> PatchReport:
        """Put changed code, or a patch release, in the place of a loaded version. No entity moves.

        A worker of the new code is made ready beside, and takes the place between two ticks with the last document
        that was committed; ticks of other threads go on until then. Weights, roles, pins, rules, the config and the
        limits stay. A patch release (1.0.1 for 1.0.0) gives the version its number, everywhere.

        Args:
            module: the module's name.
            version: the loaded version.
            path: a wheel, a project's source folder, or a folder filled by `pip install --target`; None for where the
                loaded code came from, read anew.

        Raises:
            NotFound, InvalidInput: no loaded version is meant.
            PatchRefused: the code there has another schema or minor version, is older, or is what runs already.
            AlreadyLoaded, RolloutActive: the patch release is loaded beside it; a rollout owns the module.
            PackageError, WorkerError, InvalidConfig, MigrationRefused: the code cannot run in its place.

        Whatever is raised, nothing has changed: the code that runs goes on.
        """
        began, made = time.perf_counter(), Packages()
        with self._turns.take("patch_module_version") as turn:
            self._roster.refuse_split(module)
            loaded = self._state(module).resolve(version)
            record = running = loaded.description.record
            try:
                with turn.aside():
                    record = made.own(code_for(self._code_at(running, path, made), running, named=path is not None))
                if loaded.description.record is not running:
                    raise PatchRefused("it was patched meanwhile, by another call; patch what is there now")
                contents = made.contents(record)
                if contents is not None and contents == self._packages.contents(running) and loaded.worker is not None:
                    raise NothingToPatch(f"the code there is what runs already ({contents[:DIGITS]}); change it first")
                return self._patch(turn, began, loaded, record, made)
            except GroveError as error:
                self._tell_refused(loaded, record, error)
                raise
            finally:
                made.close()

    def undo_patch(self, module: str, version: Requirement) -> PatchReport:
        """Give a loaded version the code back that it had before its latest patch, and the number.

        It goes as a patch does, and can be done as often as there were patches (of more than 100 the first, and the
        latest, are kept). Code that does not take the document of the later one goes on from the last of its own.

        Args:
            module: the module's name.
            version: the loaded version, by the number it has now.

        Raises:
            NotFound, InvalidInput: no loaded version is meant.
            PatchRefused: there was no patch.
            AlreadyLoaded, RolloutActive, PackageError, WorkerError, InvalidConfig, MigrationRefused: see
                `patch_module_version`.
        """
        began = time.perf_counter()
        with self._turns.take("undo_patch") as turn:
            self._roster.refuse_split(module)
            loaded = self._state(module).resolve(version)
            if not loaded.former:
                raise PatchRefused("no patch of it is left: nothing to undo", module=module, version=loaded.version)
            record = loaded.former[-1].description.record
            try:
                return self._patch(turn, began, loaded, record, None)
            except GroveError as error:
                self._tell_refused(loaded, record, error)
                raise

    def _code_at(self, running: VersionRecord, path: str | None, made: Packages) -> list[VersionRecord]:
        """Read what code there is where somebody says, or where that came from which runs; called without the turn."""
        if path is not None:
            return made.records(path)
        installed, _ = collect(self._manager)
        if there := [each for each in installed if each.location == running.location]:
            return there
        if running.dist_info and not any(Path(running.dist_info).is_relative_to(each) for each in running.path):
            # It was installed, so its location is a folder of strangers.
            raise PatchRefused(f"it is not installed in {running.location} any more; say where its code is, by path=")
        return made.records(running.location)

    def _patch(
        self, turn: Turn, began: float, loaded: LoadedVersion, record: VersionRecord, made: Packages | None
    ) -> PatchReport:
        """Put code in the place of a loaded version; with no copies of its own it is that of an undo."""
        module, source = record.module, loaded.version
        state = self._state(module)

        def then() -> None:
            self._roster.renamed(module, source, patch.target)
            self._baselines.forget(module)
            if patch.target not in state.breakers:  # else its trial goes on, and decides
                release(self._context, state, patch.target)
            if made is not None:
                self._packages.take(made)

        patch = Patch(state, loaded, record, made is None, lambda: self._roster.refuse_split(module), then)
        carry_out(self._context, turn, patch)
        self._keep_packages()
        contents = self._packages.contents(record)
        report = PatchReport(
            module,
            source,
            patch.target,
            patch.entities,
            (time.perf_counter() - began) * 1000,
            turn.longest * 1000,
            None if contents is None else contents[:DIGITS],
            len(patch.former),
        )
        self._context.emit(
            EventKind.PATCH_UNDONE if patch.undoes else EventKind.VERSION_PATCHED,
            module,
            report.target,
            source=str(source),
            entities=report.entities,
            contents=report.contents,
            patches=report.patches,
            ms=round(report.ms, 3),
            pause_ms=round(report.pause_ms, 3),
        )
        return report

    def _tell_refused(self, loaded: LoadedVersion, record: VersionRecord, error: GroveError) -> None:
        """Tell of a patch that was refused, in terms of where the code lies that somebody wrote."""
        for folder in record.path:
            if Path(folder) != Path(record.location):
                error.message = error.message.replace(folder, record.location)
        error.module = error.module or record.module
        error.version = error.version or str(record.version)
        self._context.emit(EventKind.PATCH_REFUSED, record.module, loaded.version, reason=error.message)
