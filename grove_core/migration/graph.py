"""Which way leads from one version's schema to another's: a graph of versions, joined by lenses."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from grove_core.author.lens import Lens
from grove_core.base.errors import LensError, NoLensPath, UnknownVersion
from grove_core.base.versions import satisfies
from grove_core.migration.plan import Endpoint, Hop, compile_hop, equal_columns, identity_hop

Pair = tuple[Version, Version]


@dataclass(frozen=True)
class _Declared:
    """A lens that joins two versions, and the version that declares it."""

    lens: Lens
    by: Version
    source: Version
    target: Version


class LensGraph:
    """The known versions of one module, joined by every lens that any of them declares.

    A lens joins each version within its one specifier to each within its other, both ways. Two versions are
    joined by one lens at most, so that the way back is always the inverse of the way there: of several the
    one that the higher of the two declares, then the lower, then the highest other, in order of declaration.
    Versions with equal columns are joined without a lens, unless a lens says that their values differ.
    """

    def __init__(self, module: str | None = None) -> None:
        self.module = module
        self._endpoints: dict[Version, Endpoint] = {}
        self._lenses: dict[Version, tuple[Lens, ...]] = {}
        self._forget()

    @property
    def versions(self) -> tuple[Version, ...]:
        """The known versions, lowest first."""
        return tuple(sorted(self._endpoints))

    def endpoint(self, version: Version) -> Endpoint:
        """Return a version with its schema.

        Raises:
            UnknownVersion: its schema is not known.
        """
        if version not in self._endpoints:
            known = ", ".join(map(str, self.versions)) or "none"
            raise UnknownVersion(
                f"its schema is not known, only those of: {known}; install or load it",
                module=self.module,
                version=version,
            )
        return self._endpoints[version]

    def add(self, endpoint: Endpoint, lenses: Sequence[Lens] = ()) -> None:
        """Make a version known; one that is known already is replaced.

        Raises:
            LensError: a lens's side is no specifier; nothing was changed.
        """
        for lens in lenses:
            for side in (lens.source, lens.target):
                try:
                    SpecifierSet(side)
                except InvalidSpecifier:
                    raise LensError(
                        f"the lens {lens.source!r} -> {lens.target!r}: {side!r} is no specifier; "
                        f"write one such as '==1.*'",
                        module=self.module,
                        version=endpoint.version,
                    ) from None
        self._endpoints[endpoint.version] = endpoint
        self._lenses[endpoint.version] = tuple(lenses)
        self._forget()

    def remove(self, version: Version) -> None:
        """Forget a version and its lenses; one that is not known is no error."""
        self._endpoints.pop(version, None)
        self._lenses.pop(version, None)
        self._forget()

    def check(self, version: Version) -> None:
        """Compile every lens for every pair of known versions that it joins and of which `version` is one.

        Raises:
            LensError: one does not fit; it names both versions.
            UnknownVersion: `version` was not added.
        """
        self.endpoint(version)
        for pair, declared in self._joins().items():
            if version in pair:
                for each in declared:
                    self._compile(each)

    def path(self, source: Version, target: Version) -> tuple[Hop, ...]:
        """Return the shortest way, empty from a version to itself.

        Of several ways the one through the lowest versions, seen from the lower end; the way back is its
        inverse. A lens that does not fit joins nothing.

        Raises:
            NoLensPath: there is none; it says how far the lenses lead from both ends.
            UnknownVersion: the schema of one of the two is not known.
        """
        self.endpoint(source)
        self.endpoint(target)
        if (source, target) not in self._paths:
            there = self._search(min(source, target), max(source, target))
            back = tuple(hop.inverse() for hop in reversed(there))
            self._paths[source, target] = there if source <= target else back
            self._paths[target, source] = back if source <= target else there
        return self._paths[source, target]

    def _search(self, source: Version, target: Version) -> tuple[Hop, ...]:
        before = self._reach(source)
        if target not in before:
            raise self._no_path(source, target)
        hops = self._hops()
        way = [target]
        while (version := way[-1]) != source:
            way.append(before[version])
        way.reverse()
        return tuple(hops[pair] for pair in zip(way, way[1:], strict=False))

    def _reach(self, source: Version) -> dict[Version, Version]:
        """Return each version that can be reached, with the one before it on the shortest way."""
        hops = self._hops()
        before = {source: source}
        queue = deque([source])
        while queue:
            here = queue.popleft()
            for there in self.versions:
                if there not in before and (here, there) in hops:
                    before[there] = here
                    queue.append(there)
        return before

    def _hops(self) -> dict[Pair, Hop]:
        """Return every hop, both ways; compiled once."""
        if self._compiled is None:
            found: dict[Pair, Hop] = {}
            for pair, declared in self._joins().items():
                if (hop := self._first_that_fits(declared)) is not None:
                    found[pair] = hop if hop.source.version == pair[0] else hop.inverse()
            for low, high in self._identities():
                found.setdefault((low, high), identity_hop(self._endpoints[low], self._endpoints[high]))
            self._compiled = found | {(high, low): hop.inverse() for (low, high), hop in found.items()}
        return self._compiled

    def _first_that_fits(self, declared: Iterable[_Declared]) -> Hop | None:
        for each in declared:
            try:
                return self._compile(each)
            except LensError:
                continue
        return None

    def _compile(self, declared: _Declared) -> Hop:
        return compile_hop(
            declared.lens,
            self._endpoints[declared.source],
            self._endpoints[declared.target],
            module=self.module,
            declared_by=declared.by,
        )

    def _joins(self) -> dict[Pair, list[_Declared]]:
        """Return for each pair of versions, the lower one first, the lenses that join it, the first to be taken."""
        if self._joined is None:
            joined: dict[Pair, list[_Declared]] = {}
            for by in sorted(self._lenses, reverse=True):
                for each in self._declared(by):
                    low, high = sorted((each.source, each.target))
                    joined.setdefault((low, high), []).append(each)
            for (low, high), declared in joined.items():
                declared.sort(key=lambda each: 0 if each.by == high else 1 if each.by == low else 2)  # noqa: B023
            self._joined = joined
        return self._joined

    def _declared(self, by: Version) -> Iterator[_Declared]:
        for lens in self._lenses[by]:
            sources = [version for version in self.versions if satisfies(version, lens.source)]
            targets = [version for version in self.versions if satisfies(version, lens.target)]
            for source in sources:
                for target in targets:
                    if source != target:
                        yield _Declared(lens, by, source, target)

    def _identities(self) -> Iterator[Pair]:
        """Yield the pairs that need no lens.

        Versions with equal columns fall into runs, lowest first. A lens from one of the run to the next
        version says that the values mean something else from there on (metres, now kilometres), so that
        a run ends there, and nobody gets past that lens.
        """
        joins = self._joins()
        runs: list[list[Version]] = []
        for version in self.versions:
            schema = self._endpoints[version].schema
            equal = [run for run in runs if equal_columns(self._endpoints[run[0]].schema, schema)]
            if equal and not any((other, version) in joins for other in equal[-1]):
                yield from ((other, version) for other in equal[-1])
                equal[-1].append(version)
            else:
                runs.append([version])

    def _no_path(self, source: Version, target: Version) -> NoLensPath:
        from_source = ", ".join(map(str, sorted(self._reach(source))))
        from_target = ", ".join(map(str, sorted(self._reach(target))))
        broken = self._broken()
        return NoLensPath(
            f"no chain of lenses joins {source} and {target}: those of {source} reach {from_source}, those of {target} "
            f"reach {from_target}; declare a Lens from one of the former to one of the latter"
            + (f". Some lenses do not fit: {'; '.join(broken)}" if broken else ""),
            module=self.module,
        )

    def _broken(self) -> list[str]:
        broken: dict[str, None] = {}
        for declared in self._joins().values():
            for each in declared:
                try:
                    self._compile(each)
                except LensError as error:
                    broken[error.message] = None
        return list(broken)

    def _forget(self) -> None:
        self._joined: dict[Pair, list[_Declared]] | None = None
        self._compiled: dict[Pair, Hop] | None = None
        self._paths: dict[Pair, tuple[Hop, ...]] = {}
