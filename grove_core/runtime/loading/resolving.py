"""Finding versions of modules that are not loaded, so that a load has what it needs: a search that explains itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter

from packaging.version import Version

from grove_core.base.errors import DependencyError, GroveError
from grove_core.base.needs import Need
from grove_core.base.records import VersionRecord
from grove_core.base.showing import brief
from grove_core.runtime.loading.loading import learn
from grove_core.runtime.state.context import Context
from grove_core.runtime.state.dependencies import described, graph_of, needs_of, refuse_cycle
from grove_core.runtime.state.state import Description

STEPS = 10_000
"""So many choices are tried at the most: what takes more is for a person to choose."""
TOLD = 20
"""So many reasons an error tells."""

Chosen = Mapping[str, Description]
"""By their modules: the version that is being loaded, and those that were chosen for it."""


class Resolution:
    """One search. Nothing is loaded by it; versions introduce themselves in short-lived workers, each once.

    Modules that are loaded stay as they are. Of every other module one version is chosen: the highest that everything
    takes that was chosen before, and that is taken back where it leads nowhere.

    Args:
        context: the engine's parts, its modules among them.
        records: what is installed.
    """

    def __init__(self, context: Context, records: Sequence[VersionRecord]) -> None:
        self._context = context
        self._records = records
        self._known: dict[VersionRecord, Description | str] = {}
        self._reasons: dict[str, None] = {}
        self._steps = 0

    def bases(self, root: Description) -> list[VersionRecord]:
        """Return what must be loaded before a version, in this order; nothing where all it needs is loaded.

        Raises:
            DependencyError: there is no choice that fits; it says what was tried, and why each did not fit.
        """
        chosen: Chosen = {root.record.module: root}
        if why := self._why_not(root, {}):
            raise DependencyError(why)
        found = self._complete(chosen)
        if found is None:
            tried = list(self._reasons)
            more = [f"... and {len(tried) - TOLD} more"] if len(tried) > TOLD else []
            if len(tried) == 1:
                raise DependencyError(re.sub(f"^{re.escape(_name(root))} requires", "it requires", tried[0]))
            reasons = "".join(f"\n  {reason}" for reason in [*tried[:TOLD], *more])
            raise DependencyError(f"what it requires cannot be had together; what was tried:{reasons}")
        graph = graph_of(found.values())
        order = TopologicalSorter({name: graph.get(name, {}).keys() & found.keys() for name in found}).static_order()
        return [found[name].record for name in order if name != root.record.module]

    def _complete(self, chosen: Chosen) -> Chosen | None:
        """Choose a version for each module that is needed and not there; None if that cannot be done."""
        missing = next(self._missing(chosen), None)
        if missing is None:
            return chosen
        who, need = missing
        for record in self._candidates(who, need):
            self._steps += 1
            if self._steps > STEPS:
                raise DependencyError(
                    f"no versions were found in {STEPS:,} attempts that fit what it requires; load "
                    f"{need.module} and what else it needs by hand"
                )
            description = self._learned(record)
            why = description if isinstance(description, str) else self._why_not(description, chosen)
            if why is not None or isinstance(description, str):
                self._note(f"{record.module}@{record.version}: {why}")
                continue
            found = self._complete({**chosen, need.module: description})
            if found is not None:
                return found
        return None

    def _missing(self, chosen: Chosen) -> Iterator[tuple[Description, Need]]:
        """Return what chosen versions need of modules of which there is none yet."""
        for description in chosen.values():
            for need in needs_of(description):
                if need.module not in chosen and need.module not in self._context.modules:
                    yield description, need

    def _candidates(self, who: Description, need: Need) -> Iterator[VersionRecord]:
        """Return installed versions that one requirement takes, highest first."""
        asks = f"{_name(who)} requires {brief(need.text)}"
        mine = [record for record in self._records if record.module == need.module]
        if not mine:
            self._note(f"{asks}; load that module first: no version of it is loaded or installed")
        for record in mine:
            if record.version is None or record.error is not None:
                self._note(f"{record.module}@{record.version or '?'}: it is broken: {record.error}")
        sound = {record.version: record for record in mine if record.version is not None and record.error is None}
        fitting = need.choose(sound)
        for version in sorted(sound.keys() - set(fitting), reverse=True):
            unnamed = "; a pre-release is taken only where it is named" if need.fits(version) else ""
            self._note(f"{need.module}@{version}: {asks}{unnamed}")
        for version in fitting:
            yield sound[version]

    def _learned(self, record: VersionRecord) -> Description | str:
        """Have a version introduce itself; return why it could not."""
        if record not in self._known:
            try:
                self._known[record] = learn(self._context, record)
            except GroveError as error:
                self._known[record] = error.message
        return self._known[record]

    def _why_not(self, description: Description, chosen: Chosen) -> str | None:
        """Return why a version does not go with what is loaded and what was chosen, or None."""
        module, version = description.record.module, description.record.version
        assert version is not None
        for other in chosen.values():
            for need in needs_of(other):
                if need.module == module and not need.fits(version):
                    return f"{_name(other)} requires {brief(need.text)}"
        try:
            needs = needs_of(description)
            refuse_cycle(graph_of([*described(self._context.modules), *chosen.values(), description]))
        except DependencyError as error:
            return error.message
        for need in needs:
            there = self._there(need.module, chosen)
            if there and not any(map(need.fits, there)):
                told = ", ".join(map(str, sorted(there)))
                how = "loaded" if need.module in self._context.modules else "chosen"
                return f"it requires {brief(need.text)}, and {told} is {how}"
        return None

    def _there(self, module: str, chosen: Chosen) -> list[Version]:
        if module in self._context.modules:
            return list(self._context.modules[module].versions)
        versions = [chosen[module].record.version] if module in chosen else []
        return [version for version in versions if version is not None]

    def _note(self, reason: str) -> None:
        self._reasons.setdefault(reason)


def _name(description: Description) -> str:
    return f"{description.record.module}@{description.record.version}"
