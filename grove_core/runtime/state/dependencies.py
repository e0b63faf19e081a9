"""Which module needs which: the graph over what is loaded, which never has a cycle, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

from packaging.version import Version

from grove_core.base.errors import DependencyError, RequirementBroken
from grove_core.base.needs import Dependency, Need, ServiceOffered, read_need
from grove_core.base.showing import brief
from grove_core.runtime.state.state import Description, LoadedVersion, ModuleState, Standing

Graph = dict[str, dict[str, Version]]
"""For each module those that it needs, and a version of it that needs them."""


NONE: Mapping[str, Version] = MappingProxyType({})


def needs_of(description: Description) -> tuple[Need, ...]:
    """Return what a version needs.

    Raises:
        DependencyError: a requirement cannot be read.
    """
    return tuple(map(read_need, description.introduced.requirements))


def graph_of(descriptions: Iterable[Description]) -> Graph:
    """Return which module needs which, by these versions."""
    graph: Graph = {}
    for description in descriptions:
        version = description.record.version
        assert version is not None
        of_it = graph.setdefault(description.record.module, {})
        for need in needs_of(description):
            of_it.setdefault(need.module, version)
    return graph


def refuse_cycle(graph: Graph) -> None:
    """Refuse modules that need each other.

    Raises:
        DependencyError: they do; it says along which path.
    """
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        path = list(reversed(error.args[1]))  # graphlib's goes from what is needed to what needs it
        turn = path.index(min(path[:-1]))  # the same one for the same cycle, however it was found
        path = [*path[turn:-1], *path[:turn]]
        told = [f"{name}@{graph[name][after]}" for name, after in zip(path, [*path[1:], path[0]], strict=True)]
        raise DependencyError(f"its requirements form a cycle: {' -> '.join([*told, path[0]])}") from None


def levels(states: Iterable[ModuleState]) -> list[list[ModuleState]]:
    """Return modules in groups, each of which needs only those before it; one group where none needs another."""
    every = list(states)
    graph = graph_of(loaded.description for state in every for loaded in state.versions.values())
    if not any(graph.values()):
        return [every]
    order = {state.name: place for place, state in enumerate(every)}
    sorter = TopologicalSorter({name: graph.get(name, {}).keys() & order.keys() for name in order})
    sorter.prepare()
    found = []
    while sorter.is_active():
        group = sorter.get_ready()
        found.append([every[place] for place in sorted(order[name] for name in group)])
        sorter.done(*group)
    return found


def refuse_unmet(modules: Mapping[str, ModuleState], description: Description) -> None:
    """Refuse a version whose requirements what is loaded does not meet, or would meet in a cycle.

    Raises:
        DependencyError: it says which, and what is loaded.
    """
    for need in needs_of(description):
        there = sorted(modules[need.module].versions) if need.module in modules else []
        if need.module != description.record.module and not any(map(need.fits, there)):
            told = ", ".join(map(str, there)) or "none"
            raise DependencyError(f"it requires {brief(need.text)}; load that module first (loaded: {told})")
    refuse_cycle(graph_of([*described(modules), description]))


def described(modules: Mapping[str, ModuleState]) -> Iterator[Description]:
    """Return the descriptions of all that is loaded."""
    for state in modules.values():
        for loaded in state.versions.values():
            yield loaded.description


def standing_of(modules: Mapping[str, ModuleState], description: Description) -> dict[str, Standing]:
    """Return how the modules stand that a version needs, by their names; only of those that have a stable version."""
    found = {}
    for need in needs_of(description):
        base = modules.get(need.module)
        if base is not None and base.stable is not None and base.stable in base.versions:
            found[need.module] = Standing(base.stable, base.versions[base.stable].renewals)
    return found


def relying_on(modules: Mapping[str, ModuleState], base: str) -> Iterator[tuple[ModuleState, LoadedVersion, Need]]:
    """Return what loaded versions need of a module."""
    for state in modules.values():
        for loaded in state.ordered:
            for need in needs_of(loaded.description):
                if need.module == base:
                    yield state, loaded, need


def why_relied_on(modules: Mapping[str, ModuleState], state: ModuleState, loaded: LoadedVersion) -> str | None:
    """Return which loaded version needs this one, and has no other that does; or None."""
    others = state.versions.keys() - {loaded.version}
    for who, one, need in relying_on(modules, state.name):
        if need.fits(loaded.version) and not any(map(need.fits, others)):
            return f"{who.name}@{one.version} requires {brief(need.text)}; unload that first"
    return None


def refuse_as_stable(
    modules: Mapping[str, ModuleState], state: ModuleState, version: Version, others: Mapping[str, Version] = NONE
) -> None:
    """Refuse to make a version stable which a version in use does not take, while it takes the one that is.

    Args:
        modules: what is loaded.
        state: the module.
        version: would become stable.
        others: what becomes stable of other modules with it: no other version of theirs is in use then.

    Raises:
        RequirementBroken: it names who does not.
    """
    if state.stable is None or state.stable == version:
        return
    for who, one, need in relying_on(modules, state.name):
        in_use = one.count or who.weights.get(one.version, 0.0) > 0
        stays = in_use and others.get(who.name, one.version) == one.version
        if stays and need.fits(state.stable) and not need.fits(version):
            raise RequirementBroken(
                f"it cannot become stable: {who.name}@{one.version}, which is in use, requires {brief(need.text)}; "
                f"give the entities and the weight of that to a version of {who.name} that takes {version} first",
                module=state.name,
                version=version,
            )


def dependencies(modules: Mapping[str, ModuleState], names: Sequence[str]) -> list[Dependency]:
    """Return what the loaded versions of these modules need, and what meets it."""
    return [
        Dependency(
            name,
            loaded.version,
            need.text,
            need.module,
            tuple(filter(need.fits, sorted(modules[need.module].versions))) if need.module in modules else (),
        )
        for name in names
        for loaded in modules[name].ordered
        for need in needs_of(loaded.description)
    ]


def services(modules: Mapping[str, ModuleState], names: Sequence[str]) -> list[ServiceOffered]:
    """Return what the loaded versions of these modules answer to those that need them."""
    return [
        ServiceOffered(name, loaded.version, each.name, each.signature, each.per_entity)
        for name in names
        for loaded in modules[name].ordered
        for each in loaded.description.introduced.services
    ]
