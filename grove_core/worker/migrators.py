"""Running a migrator, in a worker that hosts no version: its plugin is imported here, and only here it migrates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy
from importlib_metadata import EntryPoint
from packaging.version import Version

from grove_core.author.lens import Endpoint
from grove_core.author.schema import Columns, Schema
from grove_core.base.errors import PackageError, PluginFailed
from grove_core.parts import hookspecs
from grove_core.parts.contracts import Migrator
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.wire.messages import PROTOCOL, Given, RunMigrator, Side
from grove_core.worker.mapping import run_over


def run_migrator(order: RunMigrator, writable: int, read_only: int) -> Given:
    """Import a plugin, make its migrator, and have it take rows from one version to another.

    Raises:
        PluginError: the plugin registers no such migrator, or it cannot be made or does not return columns.
        InvalidColumns: a column is not the target's, or does not fit.
    """
    if order.protocol != PROTOCOL:
        raise PackageError(
            f"the engine speaks protocol {order.protocol}, this worker {PROTOCOL}: two versions of grove-core"
        )
    migrator = _make(order)
    source, target = _endpoint(order.source), _endpoint(order.target)

    def call(takes: Columns) -> Mapping[str, Any]:
        given = migrator.migrate(takes, source, target)
        if not isinstance(given, Mapping):
            raise PluginFailed(f"migrate must return columns, name -> array; it returned {type(given).__name__}")
        return given

    return run_over(call, order.scratch, writable, read_only)


def _make(order: RunMigrator) -> Migrator:
    """Register the one plugin with a manager of its own, and make its part."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(EntryPoint("", order.plugin, hookspecs.GROUP).load(), name=order.plugin)
    catalogue = Catalogue(manager)
    if catalogue.failures and (PartKind.MIGRATOR, order.name) not in catalogue.parts:
        raise catalogue.failures[0]
    migrator: Migrator = catalogue.make(PartKind.MIGRATOR, order.name, order.options)
    return migrator


def _endpoint(side: Side) -> Endpoint:
    return Endpoint(Version(side.version), Schema.of(side.specs))
