"""What a router promises, as tests: `class TestMine(RouterConformance)` runs them over a router of yours."""

from __future__ import annotations

import tracemalloc
from typing import ClassVar

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from grove_core.parts.contracts import Router
from grove_core.testing.examples import Question, large_question, question, questions, same_for_all

MANY = 1_000_000


class RouterConformance:
    """Holds a router against its contract, `grove_core.parts.contracts.Router`.

    Example::

        class TestLowest(RouterConformance):
            exact = True

            def make(self) -> Router:
                return Lowest()
    """

    exact: ClassVar[bool] = False
    """Whether the router claims to meet the quota: it is held against it then."""
    bytes_per_entity: ClassVar[int] = 128
    """How much memory it may need at a time, its answer included. The entities themselves take 32 bytes each."""

    def make(self) -> Router:
        """Return a new router, with the options it is to be tested with."""
        raise NotImplementedError("let `make` return the router to be tested")

    @given(questions())
    @same_for_all
    def test_it_names_one_version_for_each_entity(self, asked: Question) -> None:
        """The answer is an int32 array of the shape of `ids`, each value an index into `versions`."""
        target = self._answer(asked)
        assert isinstance(target, np.ndarray), f"the answer is of type {type(target).__name__}, not an array"
        assert target.shape == asked.population.ids.shape, f"{asked.size} entities got an answer of {target.shape}"
        assert target.dtype == np.int32, f"the answer is {target.dtype}, not int32"
        strange = sorted(set(target.tolist()) - set(range(asked.versions)))
        assert not strange, f"the answer names {strange}; there are {asked.versions} versions"

    @given(questions())
    @same_for_all
    def test_a_version_without_weight_gets_nobody(self, asked: Question) -> None:
        """Nobody is sent to a version of weight 0."""
        weights = asked.population.weights
        got = [index for index in set(self._answer(asked).tolist()) if weights[index] == 0]
        assert not got, f"versions {got} got entities; the weights are {weights}"

    @given(questions())
    @same_for_all
    def test_the_quota_is_met_if_it_is_claimed(self, asked: Question) -> None:
        """Version i gets exactly `quota[i]` entities, if the router says that it is `exact`."""
        got = np.bincount(self._answer(asked), minlength=asked.versions).tolist()
        assert not self.exact or got == asked.quota.tolist(), f"got {got}, the quota is {asked.quota.tolist()}"

    @given(questions(), st.integers(0, 2**32 - 1))
    @same_for_all
    def test_the_order_of_the_entities_means_nothing(self, asked: Question, seed: int) -> None:
        """The same entities in another order get the same versions."""
        order = np.random.default_rng(seed).permutation(asked.size)
        straight, mixed = self._answer(asked), self._answer(asked.in_order(order))
        assert mixed.tolist() == straight[order].tolist(), "the entities' order changed their versions"

    @given(questions(), questions())
    @same_for_all
    def test_the_same_question_gets_the_same_answer(self, asked: Question, other: Question) -> None:
        """Neither the past nor the instance plays a part: a router is pure."""
        router = self.make()
        first = router.route(asked.population, asked.quota)
        said = first.tolist()
        second = router.route(other.population, other.quota).tolist()
        assert first.tolist() == said, "an answer it gave changed afterwards"
        assert router.route(asked.population, asked.quota).tolist() == said, "asked again, it answers differently"
        assert self._answer(asked).tolist() == said, "another instance answers differently"
        assert self._answer(other).tolist() == second, "the question before changed the answer"

    @given(questions())
    @same_for_all
    def test_what_it_is_given_is_not_written(self, asked: Question) -> None:
        """The arrays of the population, and the quota, are as they were. Where it is read only, writing raises."""
        ours = asked.to_write_in()
        self._answer(ours)
        assert ours.bytes() == asked.bytes(), "it wrote into what it was given"

    @given(questions())
    @same_for_all
    def test_of_no_entities_nobody_is_sent_anywhere(self, asked: Question) -> None:
        """A module may have no entities."""
        nobody = question(asked.population.weights, [0] * asked.versions)
        assert self._answer(nobody).shape == (0,)

    @given(questions())
    @same_for_all
    def test_one_version_gets_everybody(self, asked: Question) -> None:
        """A module may have one version."""
        ids, keys = asked.population.ids, asked.population.keys
        target = self._answer(question([1.0], [asked.size], ids=ids, keys=keys, current=0, origin=0))
        assert not target.any(), f"there is one version, and the answer names {sorted(set(target.tolist()))}"

    def test_a_million_entities_take_a_bounded_amount_of_memory(self) -> None:
        """At its peak the router holds at most `bytes_per_entity` for each."""
        router, asked = self.make(), large_question(MANY)
        tracemalloc.start()
        try:
            target = router.route(asked.population, asked.quota)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert target.shape == (MANY,)
        limit = self.bytes_per_entity
        assert peak <= limit * MANY, f"it held {peak / MANY:.0f} bytes for each of {MANY} entities, over {limit}"

    def _answer(self, asked: Question) -> NDArray[np.int32]:
        return self.make().route(asked.population, asked.quota)
