"""Calls that change which version entities are in."""

from __future__ import annotations

import time
from collections.abc import Mapping

from packaging.version import Version

from grove_core.base.errors import InvalidInput
from grove_core.base.kept import GenerationRecord, Since
from grove_core.base.records import (
    MigrationRecord,
    MigrationReport,
    RollbackReport,
    SplitReport,
)
from grove_core.base.versions import Requirement
from grove_core.engine.core import Core
from grove_core.runtime.loading.renewing import renew
from grove_core.runtime.rows import keeping, split
from grove_core.runtime.ticking import breaker
from grove_core.runtime.ticking.revert import go_back_to
from grove_core.runtime.ticking.rollback import go_back_by_hand


class SplitCalls(Core):
    """Shares entities out, and takes them from one version to another."""

    def set_traffic_split(self, module: str, weights: Mapping[Requirement, float]) -> SplitReport:
        """Share the module's entities out by weight: exactly, with the fewest moves, pins first.

        A version with the weight 1 becomes stable, and what needs the module is reloaded, its entities untouched.

        Raises:
            InvalidWeights, NotFound, Refused, PluginError: nothing moved.
        """
        with self._turns.take("set_traffic_split"):
            state = self._ready(module)
            self._roster.refuse_split(module)
            report = split.split_if_taken(self._context, state, weights)
            breaker.split_by_hand(self._context, state)
            renew(self._context)
            return report

    def get_traffic_split(self, module: str) -> dict[Version, float]:
        """Return the weight of each loaded version, their sum being 1."""
        with self._turns.take("get_traffic_split"):
            state = self._state(module)
            return {version: state.weights.get(version, 0.0) for version in sorted(state.versions)}

    def migrate_state(
        self, module: str, from_version: Requirement, to_version: Requirement, *, force: bool = False
    ) -> MigrationReport:
        """Move every entity of one loaded version, and its weight, to another.

        Args:
            module: the module's name.
            from_version: is empty afterwards.
            to_version: gets them.
            force: go also where nobody wrote a function for this direction: what rows carry is taken, else defaults.

        Raises:
            NotFound, InvalidInput, Refused, LensError, PluginFailed: nothing moved.
        """
        with self._turns.take("migrate_state"):
            state = self._ready(module)
            self._roster.refuse_split(module)
            source, target = state.resolve(from_version), state.resolve(to_version)
            if source is target:
                raise InvalidInput(
                    f"from_version and to_version are both {source.version}",
                    module=module,
                    version=source.version,
                )
            way = state.graph.path(source.version, target.version)
            if force:
                way = tuple(hop.forced() for hop in way)
            report = split.migrate_all(self._context, state, source, target, way)
            renew(self._context)
            return report

    def rollback(
        self,
        module: str,
        target_version: Requirement,
        max_downtime_ms: float = 1000.0,
        *,
        generation: int | None = None,
        since: Since = Since.KEEP,
    ) -> RollbackReport:
        """Move every entity of every other version back to `target_version`, which is loaded if it is not.

        The others stay loaded without weight, in quarantine. The target becomes stable. A limit that is missed
        is reported, not enforced: `within_limit` is False then.

        With a generation every entity that lived then and lives now also gets the values it had then, and the target
        the document it had.

        Args:
            module: the module's name.
            target_version: gets all entities.
            max_downtime_ms: the limit, in milliseconds.
            generation: the number of one of `generations`; None to leave values as they are.
            since: what becomes of entities that were born or ended after that generation.

        Raises:
            NotFound, InvalidInput, Refused, WorkerError, LensError, PluginFailed: nothing moved.
        """
        began = time.perf_counter()
        with self._turns.take("rollback"):
            state = self._ready(module)
            if generation is None and since is Since.KEEP:
                report = go_back_by_hand(self._context, state, target_version, began, max_downtime_ms)
            else:
                report = go_back_to(self._context, state, target_version, generation, since, began, max_downtime_ms)
            self._roster.rolled_back(module, report.target)
            renew(self._context)
            return report

    def generations(self, module: str) -> list[GenerationRecord]:
        """Return the older states of a module that are kept (`keep_generations`), oldest first."""
        with self._turns.take("generations"):
            return keeping.generations(self._state(module))

    def migration_history(self, module: str) -> list[MigrationRecord]:
        """Return the latest 10,000 migrations, oldest first."""
        with self._turns.take("migration_history"):
            return list(self._state(module).history)
