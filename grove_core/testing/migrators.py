"""What a migrator promises, as tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.author.lens import Endpoint
from grove_core.author.schema import Array, Column, Columns, Schema
from grove_core.parts.contracts import Migrator
from grove_core.testing.examples import endpoints, rows_of, same_for_all

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 40)


def endpoint(version: str, *, constant: Iterable[str] = (), **columns: str | Column) -> Endpoint:
    """Return one end of a migration: `endpoint("2.0.0", x="f4", kind=Column("i1", low=0))`."""
    return Endpoint(Version(version), Schema(constant=constant, **columns))


class MigratorConformance:
    """Holds a migrator against its contract, `grove_core.parts.contracts.Migrator`.

    Example::

        class TestWiden(MigratorConformance):
            def make(self) -> Migrator:
                return Widen()

            def accepted(self) -> Sequence[tuple[Endpoint, Endpoint]]:
                return [(endpoint("1.0.0", x="f4"), endpoint("2.0.0", x="f8"))]
    """

    def make(self) -> Migrator:
        """Return a new migrator, with the options it is to be tested with."""
        raise NotImplementedError("let `make` return the migrator to be tested")

    def accepted(self) -> Sequence[tuple[Endpoint, Endpoint]]:
        """Return sources and targets between which it takes rows, at least one pair."""
        raise NotImplementedError("let `accepted` return pairs of source and target that it accepts")

    def rows(self, source: Endpoint, rows: int, chance: np.random.Generator) -> Columns:
        """Return so many rows of the source, read only; anything that its rules allow, unless you say otherwise."""
        return rows_of(source.schema, rows, chance)

    def test_it_accepts_what_it_is_said_to(self) -> None:
        """Each of the pairs, whichever instance is asked."""
        pairs = self.accepted()
        assert pairs, "nothing is said to be accepted, so nothing can be tested"
        for source, target in pairs:
            assert self.make().accepts(source, target) is True, f"{_name(source, target)} is not accepted"

    @given(endpoints(), endpoints())
    @same_for_all
    def test_it_says_of_any_two_versions_whether_it_accepts_them(self, source: Endpoint, target: Endpoint) -> None:
        """True or False, the same whenever and whichever instance is asked; it does not raise."""
        migrator = self.make()
        answer: object = migrator.accepts(source, target)
        assert isinstance(answer, bool), f"{answer!r} is neither True nor False"
        assert migrator.accepts(source, target) is answer, "asked again, it answers differently"
        assert self.make().accepts(source, target) is answer, "another instance answers differently"

    @given(sizes, seeds)
    @same_for_all
    def test_it_returns_columns_of_the_target(self, rows: int, seed: int) -> None:
        """By name, one value for each row, such as the target's dtypes and rules allow. Rows are read only."""
        for source, target in self.accepted():
            returned = self._migrated(source, target, self.rows(source, rows, np.random.default_rng(seed)))
            strange = sorted(map(str, returned.keys() - target.schema.dtypes.keys()))
            assert not strange, f"{_name(source, target)}: it returned {strange}, which the target has not"
            for name, values in returned.items():
                assert np.shape(values) == (rows,), f"{name} has the shape {np.shape(values)} for {rows} rows"
            target.schema.conform(returned, rows)

    @given(sizes, seeds)
    @same_for_all
    def test_the_order_of_the_rows_means_nothing(self, rows: int, seed: int) -> None:
        """The same rows in another order give the same values, in that order."""
        for source, target in self.accepted():
            chance = np.random.default_rng(seed)
            given, order = self.rows(source, rows, chance), chance.permutation(rows)
            straight = self._migrated(source, target, given)
            mixed = self._migrated(source, target, {name: _read_only(values[order]) for name, values in given.items()})
            for name, values in straight.items():
                same = np.asarray(mixed[name]).tobytes() == np.asarray(values)[order].tobytes()
                assert same, f"{_name(source, target)}: {name} depends on the order of the rows"

    @given(sizes, seeds, sizes)
    @same_for_all
    def test_the_same_rows_give_the_same_values(self, rows: int, seed: int, others: int) -> None:
        """Bit for bit, whatever was migrated before: each time it is made anew, in a worker of its own."""
        for source, target in self.accepted():
            chance, migrator = np.random.default_rng(seed), self.make()
            given, before = self.rows(source, rows, chance), self.rows(source, others, chance)
            migrator.migrate(before, source, target)
            used, fresh = migrator.migrate(given, source, target), self._migrated(source, target, given)
            assert used.keys() == fresh.keys(), "what it migrated before changed which columns it returns"
            for name, values in fresh.items():
                same = np.asarray(used[name]).tobytes() == np.asarray(values).tobytes()
                assert same, f"{_name(source, target)}: what it migrated before changed {name}"

    def _migrated(self, source: Endpoint, target: Endpoint, rows: Columns) -> Mapping[str, Array]:
        """Migrate in a fresh instance, which was not asked what it accepts."""
        returned: object = self.make().migrate(rows, source, target)
        assert isinstance(returned, Mapping), f"{type(returned).__name__} came, not columns by name"
        return returned


def _read_only(values: Array) -> Array:
    values.flags.writeable = False
    return values


def _name(source: Endpoint, target: Endpoint) -> str:
    return f"{source.version} -> {target.version}"
