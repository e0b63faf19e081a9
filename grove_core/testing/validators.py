"""What a validator promises, as tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from packaging.version import Version

from grove_core.parts.contracts import Commit, Validator
from grove_core.testing.examples import MODULE, endpoints, frozen, rows_of, same_for_all

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 40)
seconds = st.sampled_from([0.0, 1e-6, 1 / 60, 1.0, 3600.0])


def commit(
    before: Mapping[str, ArrayLike],
    after: Mapping[str, ArrayLike],
    *,
    ids: ArrayLike | None = None,
    module: str = MODULE,
    version: str = "1.0.0",
    tick: int = 1,
    dt: float = 1.0,
) -> Commit:
    """Return what a validator is shown: `commit({"x": [0.0]}, {"x": [1.0]})`. A column left out of `after` is constant.

    Args:
        before: column -> values before the tick; arrays keep their dtypes.
        after: column -> values after it.
        ids: the entities' ids; None for 1, 2, 3 ...
        module: whose commit it is.
        version: which version's.
        tick: the number of the tick.
        dt: its seconds.
    """
    was = {name: frozen(np.array(values)) for name, values in before.items()}
    became = {name: frozen(np.array(after[name])) if name in after else was[name] for name in was}
    size = max(map(len, was.values()), default=1)
    known = np.arange(1, size + 1) if ids is None else np.array(ids, np.int64)
    return Commit(module, Version(version), tick, dt, frozen(known), was, became)


@st.composite
def commits(draw: st.DrawFn, *, writable: bool = False) -> Commit:
    """Draw what a validator may be shown: columns of any dtype, some of which are constant or hardly changed."""
    end, rows = draw(endpoints()), draw(sizes)
    chance = np.random.default_rng(draw(seeds))
    before, after = (rows_of(end.schema, rows, chance) for _ in range(2))
    for name in before:
        kind = draw(st.sampled_from(["constant", "still", "some", "all"]))
        if kind == "constant":
            after[name] = before[name]
        elif kind == "still":
            after[name] = frozen(before[name].copy())
        elif kind == "some":
            after[name] = frozen(np.where(chance.random(rows) < 0.1, after[name], before[name]))
        if before[name].dtype.kind == "f" and draw(st.booleans()):
            after[name] = frozen(np.where(chance.random(rows) < 0.2, np.array(np.nan, after[name].dtype), after[name]))
    ids = frozen(chance.permutation(np.arange(rows, dtype=np.int64)))
    made = Commit(MODULE, end.version, draw(st.integers(1, 1000)), draw(seconds), ids, before, after)
    return _in_order(made, np.arange(rows), writable=writable)


def _in_order(shown: Commit, order: NDArray[np.int64], *, writable: bool = False) -> Commit:
    """Copy a commit, its entities in another order; a constant column stays one array."""

    def copied(values: NDArray[Any]) -> NDArray[Any]:
        mixed: NDArray[Any] = values[order]
        return mixed if writable else frozen(mixed)

    before = {name: copied(values) for name, values in shown.before.items()}
    after = {
        name: before[name] if values is shown.before[name] else copied(values) for name, values in shown.after.items()
    }
    return replace(shown, ids=copied(shown.ids), before=before, after=after)


def _bytes(shown: Commit) -> list[bytes]:
    arrays = (shown.ids, *shown.before.values(), *shown.after.values())
    return [array.tobytes() for array in arrays]


class ValidatorConformance:
    """Holds a validator against its contract, `grove_core.parts.contracts.Validator`.

    Let it pass whatever it may: a validator that never refuses passes, and nothing is tested. So let tests of your own
    show it what it must refuse, made by `grove_core.testing.commit`.
    """

    def make(self) -> Validator:
        """Return a new validator, with the options it is to be tested with."""
        raise NotImplementedError("let `make` return the validator to be tested")

    @given(st.lists(commits(), min_size=1, max_size=3))
    @same_for_all
    def test_it_says_in_a_sentence_what_is_wrong_or_nothing(self, shown: list[Commit]) -> None:
        """For any commit of any version, one after the other, it answers a sentence or None; it does not raise."""
        validator = self.make()
        for each in shown:
            answer: object = validator.refuse(each)
            assert answer is None or (isinstance(answer, str) and answer.strip()), f"{answer!r} is no sentence"

    @given(commits(writable=True))
    @same_for_all
    def test_it_changes_nothing(self, shown: Commit) -> None:
        """What it is shown is the engine's memory; it is read only there, and is not even tried to be written."""
        before = _bytes(shown)
        self.make().refuse(shown)
        assert _bytes(shown) == before, "it wrote into what it was shown"

    @given(commits(), seeds)
    @same_for_all
    def test_the_order_of_the_entities_means_nothing(self, shown: Commit, seed: int) -> None:
        """The same entities in another order are refused, or not, as they were."""
        order = np.random.default_rng(seed).permutation(shown.size)
        mixed = self.make().refuse(_in_order(shown, order))
        assert (self.make().refuse(shown) is None) is (mixed is None), "it depends on the order of the entities"
