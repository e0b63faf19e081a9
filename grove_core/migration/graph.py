"""Which way leads from one version's schema to another's: a graph of versions, joined by lenses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from packaging.version import Version

from grove_core.base.errors import LensError, NoLensPath, UnknownVersion
from grove_core.base.showing import brief
from grove_core.base.versions import satisfies, specifiers
from grove_core.migration.kin import Cell, Kin
from grove_core.migration.plan import (
    Absent,
    Endpoint,
    Hop,
    MigratorFunction,
    Passed,
    equal_columns,
    identity_hop,
    migrator_hop,
)
from grove_core.migration.walk import compile_hop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grove_core.author.lens import Lens

Pair = tuple[Version, Version]
Accepting = Callable[[Endpoint, Endpoint], MigratorFunction | None]
"""Finds the migrator that takes rows from one version to another; None if none does."""


def nobody_accepts(source: Endpoint, target: Endpoint) -> MigratorFunction | None:
    """Find no migrator."""
    return None


@dataclass(frozen=True)
class _Declared:
    """A lens that joins two versions, and the version that declares it."""

    lens: Lens
    by: Version
    source: Version
    target: Version

    @property
    def pair(self) -> Pair:
        """The two versions, the lower one first."""
        return min(self.source, self.target), max(self.source, self.target)

    def distance(self) -> int:
        """How far the declaring version is from the pair: the higher one, the lower one, another one."""
        low, high = self.pair
        return (high, low, self.by).index(self.by)


class LensGraph:
    """The known versions of one module, joined by every lens that any of them declares.

    A lens joins each version within its one specifier to each within its other, both ways. Two versions are
    joined by one lens at most, so that the way back is always the inverse of the way there: of several the
    one that the higher of the two declares, then the lower, then the highest other, in order of declaration.
    Versions with equal columns are joined without a lens, unless a lens says that their values differ.

    Args:
        module: the module's name, for errors.
        accepting: asked only where no chain of lenses joins two versions; then it makes a hop of its own.
    """

    def __init__(self, module: str | None = None, accepting: Accepting = nobody_accepts) -> None:
        self.module = module
        self._accepting = accepting
        self._endpoints: dict[Version, Endpoint] = {}
        self._lenses: dict[Version, tuple[Lens, ...]] = {}
        self._joined: dict[Pair, list[_Declared]] | None = None
        self._compiled: dict[Pair, Hop] | None = None
        self._neighbours: dict[Version, list[Version]] | None = None
        self._kin = Kin()
        self._paths: dict[Pair, tuple[Hop, ...]] = {}

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
                    specifiers(side)
                except ValueError:
                    raise LensError(
                        f"the lens {brief(lens.source)} -> {brief(lens.target)}: {brief(side)} is no specifier; "
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

    def joined(self, source: Version, target: Version) -> bool:
        """Tell whether a chain of lenses joins two known versions; migrators are not asked."""
        return target in _reach(source, self._ways())

    def path(self, source: Version, target: Version) -> tuple[Hop, ...]:
        """Return the shortest way, empty from a version to itself.

        Of several ways the one through the lowest versions, seen from the lower end; the way back is its
        inverse. A lens that does not fit joins nothing. Where no chain of lenses leads, a migrator that accepts
        one of the two directions makes a direct hop, which may be irreversible the other way.

        Raises:
            NoLensPath: there is none; it says how far the lenses lead from both ends.
            UnknownVersion: the schema of one of the two is not known.
        """
        self.endpoint(source)
        self.endpoint(target)
        if (source, target) not in self._paths:
            low, high = min(source, target), max(source, target)
            up = self._search(low, high) or self._direct(low, high)
            self._paths[low, high] = up
            self._paths[high, low] = tuple(hop.inverse() for hop in reversed(up))
        return self._paths[source, target]

    def _search(self, source: Version, target: Version) -> tuple[Hop, ...]:
        """Return the chain of lenses, empty where there is none."""
        hops = self._hops()
        before = _reach(source, self._ways())
        if target not in before:
            return ()
        way = [target]
        while (version := way[-1]) != source:
            way.append(before[version])
        way.reverse()
        return tuple(hops[pair] for pair in pairwise(way))

    def _direct(self, low: Version, high: Version) -> tuple[Hop, ...]:
        """Return the hop that migrators make; from a version to itself there is none."""
        if low == high:
            return ()
        one, other = self._endpoints[low], self._endpoints[high]
        up, down = self._accepting(one, other), self._accepting(other, one)
        if up is None and down is None:
            raise self._no_path(low, high)
        hop = migrator_hop(one, other, up or Absent.IRREVERSIBLE, down or Absent.IRREVERSIBLE, module=self.module)
        return (replace(hop, kin=self._kin),)

    def _ways(self) -> dict[Version, list[Version]]:
        """Return where one hop leads from each version; found out once."""
        if self._neighbours is None:
            self._neighbours = _neighbours(self._hops())
        return self._neighbours

    def _hops(self) -> dict[Pair, Hop]:
        """Return every hop, both ways; compiled once."""
        if self._compiled is None:
            found: dict[Pair, Hop] = {}
            for pair, declared in self._joins().items():
                if (hop := self._first_that_fits(declared)) is not None:
                    found[pair] = hop if hop.source.version == pair[0] else hop.inverse()
            for low, high in self._identities():
                found.setdefault((low, high), identity_hop(self._endpoints[low], self._endpoints[high]))
            self._kin = Kin(pair for hop in found.values() for pair in _passed(hop))
            found = {pair: replace(hop, kin=self._kin) for pair, hop in found.items()}
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
        """Return for each pair, the lower version first, the lenses that join it, the first to be taken."""
        if self._joined is None:
            joined: dict[Pair, list[_Declared]] = {}
            for by in sorted(self._lenses, reverse=True):
                for each in self._declared(by):
                    joined.setdefault(each.pair, []).append(each)
            for declared in joined.values():
                declared.sort(key=_Declared.distance)
            self._joined = joined
        return self._joined

    def _declared(self, by: Version) -> Iterator[_Declared]:
        for lens in self._lenses[by]:
            for source in self._side(lens.source):
                for target in self._side(lens.target):
                    if source != target:
                        yield _Declared(lens, by, source, target)

    def _side(self, spec: str) -> list[Version]:
        return [version for version in self.versions if satisfies(version, spec)]

    def _identities(self) -> Iterator[Pair]:
        """Yield the pairs that need no lens, the lower version first.

        Versions with equal columns fall into runs, lowest first. Lenses that lead from a version to another
        one with equal columns say that the values mean something else there (metres, now kilometres), so a
        run ends there and nobody gets past the lenses; but versions on one side of a lens are alike.
        """
        ways = _neighbours(edge for low, high in self._joins() for edge in ((low, high), (high, low)))
        sides = [
            set(self._side(spec))
            for lenses in self._lenses.values()
            for lens in lenses
            for spec in (lens.source, lens.target)
        ]
        runs: list[list[Version]] = []
        for version in self.versions:
            apart = _reach(version, ways).keys() - set().union(*(s for s in sides if version in s))
            schema = self._endpoints[version].schema
            equal = [run for run in runs if equal_columns(self._endpoints[run[0]].schema, schema)]
            if equal and apart.isdisjoint(equal[-1]):
                yield from ((other, version) for other in equal[-1])
                equal[-1].append(version)
            else:
                runs.append([version])

    def _no_path(self, source: Version, target: Version) -> NoLensPath:
        ends = [", ".join(map(str, sorted(_reach(end, self._ways())))) for end in (source, target)]
        broken = self._broken()
        return NoLensPath(
            f"no chain of lenses joins {source} and {target}: those of {source} reach {ends[0]}, those of "
            f"{target} reach {ends[1]}; declare a Lens from one of the former to one of the latter"
            + ("" if self._accepting is nobody_accepts else "; no migrator in the settings accepts them either")
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
        self._joined = None
        self._compiled = None
        self._neighbours = None
        self._paths.clear()


def _neighbours(edges: Iterable[Pair]) -> dict[Version, list[Version]]:
    """Return where edges lead from each version, the lowest first."""
    found: dict[Version, list[Version]] = {}
    for here, there in edges:
        found.setdefault(here, []).append(there)
    return {here: sorted(ways) for here, ways in found.items()}


def _reach(source: Version, ways: Mapping[Version, Sequence[Version]]) -> dict[Version, Version]:
    """Return each version that can be reached, with the one before it on the shortest way."""
    before = {source: source}
    queue = deque([source])
    while queue:
        here = queue.popleft()
        for there in ways.get(here, ()):
            if there not in before:
                before[there] = here
                queue.append(there)
    return before


def _passed(hop: Hop) -> Iterator[tuple[Cell, Cell]]:
    for name, origin in hop.columns.items():
        if isinstance(origin, Passed):
            yield (hop.source.version, origin.source), (hop.target.version, name)
