"""A loaded version goes by another number: everything that knows it by the old one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from packaging.version import Version

from grove_core.runtime.state.past import KeptGeneration, KeptTable
from grove_core.runtime.state.state import LoadedVersion, ModuleState, Standing, nothing_more

Value = TypeVar("Value")


def renaming(
    modules: Mapping[str, ModuleState], state: ModuleState, loaded: LoadedVersion, target: Version
) -> Callable[[], None]:
    """Work out what is to be called otherwise, and return what does it; to do that twice is to do it once.

    The former number stays known as that of a version which is not loaded any more: what rows carried of it, lenses
    that name it, the history, and a rollback to it. What is known of an earlier version that was called `target` goes.

    Args:
        modules: all that are loaded.
        state: the module.
        loaded: the version, still under its former number.
        target: what it is called from now on; no other loaded version is.
    """
    source = loaded.version
    if source == target:
        return nothing_more

    def named(version: Version) -> Version:
        return target if version == source else version

    def renamed(values: Mapping[Version, Value]) -> dict[Version, Value]:
        return {named(version): value for version, value in values.items() if version != target}

    versions, weights = renamed(state.versions), renamed(state.weights)
    trusted_until, retries = renamed(state.trusted_until), renamed(state.retries)
    breakers = {version: replace(one, version=version) for version, one in renamed(state.breakers).items()}
    quarantined = {named(version) for version in state.quarantined if version != target}
    stable = None if state.stable is None else named(state.stable)
    previous = None if state.previous in (None, target) else named(state.previous)
    configs = {**state.configs, target: loaded.config}
    limits = {**state.limits, target: loaded.limits}
    documents = {version: one for version, one in state.documents.items() if version not in (source, target)}
    if loaded.document is not None:
        documents[source] = loaded.document
    codes = [named(version) for version in state.codes]
    rules = tuple(replace(rule, version=named(rule.version)) for rule in state.pin_rules)
    kept = [(each, *_kept(each, source, target)) for each in state.past]
    bases = _bases(modules.values(), state.name, source, target)

    def rename() -> None:
        loaded.version = target
        state.versions, state.weights, state.trusted_until = versions, weights, trusted_until
        state.breakers, state.retries, state.quarantined = breakers, retries, quarantined
        state.stable, state.previous = stable, previous
        state.configs, state.limits, state.documents = configs, limits, documents
        state.codes, state.pin_rules = codes, rules
        for generation, tables, documents_then in kept:
            generation.tables, generation.documents = tables, documents_then
        for dependent, standings in bases:
            dependent.bases = standings

    return rename


def _kept(
    generation: KeptGeneration, source: Version, target: Version
) -> tuple[dict[Version, KeptTable], dict[Version, bytes | None]]:
    """Return the tables and documents of a kept generation under the new number; as they are if it has both."""
    if target in generation.tables or target in generation.documents:
        return generation.tables, generation.documents
    return (
        {target if version == source else version: one for version, one in generation.tables.items()},
        {target if version == source else version: one for version, one in generation.documents.items()},
    )


def _bases(
    states: Iterable[ModuleState], module: str, source: Version, target: Version
) -> list[tuple[LoadedVersion, dict[str, Standing]]]:
    """Return what needs the module and came up with this version stable: nothing that it came up with has changed."""
    return [
        (one, {**one.bases, module: one.bases[module]._replace(stable=target)})
        for state in states
        for one in state.versions.values()
        if module in one.bases and one.bases[module].stable == source
    ]
