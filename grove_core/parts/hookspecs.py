"""The hooks a plugin may implement.

A plugin is a module or object under the entry-point group `grove_core.plugins`, its functions marked with
`hookimpl`. Every implementation is called by itself: one that raises becomes an event with its package's
name, and the others still count. Hooks are called when an engine is made, `grove_discover_versions` also
when a version is asked for; none is called per tick or per entity.

The `grove_register_*` hooks return a dict from name to factory. Settings choose by name, so that installing
a package changes nothing by itself; a name that two plugins register is an error that names both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from grove_core.base.records import VersionRecord
    from grove_core.parts.contracts import (
        FaultPolicy,
        GcPolicy,
        Hold,
        Judge,
        Migrator,
        Router,
        Validator,
    )
    from grove_core.parts.sinks import InlineSink, Sink
from grove_core.parts.running import Isolation

PROJECT = "grove_core"
GROUP = "grove_core.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def grove_discover_versions() -> Iterable[VersionRecord]:  # type: ignore[empty-body]
    """Return the installed versions, read from metadata; nothing may be imported.

    A record that cannot be read is returned with its `error`, never left out. One that names its `dist_info` runs
    from a copy of that distribution's files; another one from where it lies.
    """


@hookspec
def grove_register_routers() -> Mapping[str, Callable[..., Router]]:  # type: ignore[empty-body]
    """Return name -> factory of routers. Options of the setting `router` become keyword arguments."""


@hookspec
def grove_register_migrators() -> Mapping[str, Callable[..., Migrator]]:  # type: ignore[empty-body]
    """Return name -> factory of migrators. The setting `migrators` lists those in force, in their order.

    Called and made twice: in the engine's process, where it is asked what it accepts, and in a fresh worker,
    where it migrates. Options must be what msgpack can hold.
    """


@hookspec
def grove_register_gc_policies() -> Mapping[str, Callable[..., GcPolicy]]:  # type: ignore[empty-body]
    """Return name -> factory of collection policies.

    The factory is called by `enable_auto_gc` with `unused_threshold_seconds` and the setting's options.
    """


@hookspec
def grove_register_holds() -> Mapping[str, Callable[..., Hold]]:  # type: ignore[empty-body]
    """Return name -> factory of holds. The setting `holds` lists those in force."""


@hookspec
def grove_register_fault_policies() -> Mapping[str, Callable[..., FaultPolicy]]:  # type: ignore[empty-body]
    """Return name -> factory of fault policies. Options of the setting `fault_policy` become arguments."""


@hookspec
def grove_register_judges() -> Mapping[str, Callable[..., Judge]]:  # type: ignore[empty-body]
    """Return name -> factory of judges. The setting `judges`, or a rollout's plan, lists those in force."""


@hookspec
def grove_register_sinks() -> Mapping[str, Callable[..., Sink | InlineSink]]:  # type: ignore[empty-body]
    """Return name -> factory of sinks. The setting `sinks` lists those in force."""


@hookspec
def grove_register_validators() -> Mapping[str, Callable[..., Validator]]:  # type: ignore[empty-body]
    """Return name -> factory of validators. The setting `validators` lists those in force, in their order."""


@hookspec
def grove_register_isolations() -> Mapping[str, Callable[..., Isolation]]:  # type: ignore[empty-body]
    """Return name -> factory of isolations. Options of the setting `isolation` become arguments."""
