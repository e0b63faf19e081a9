"""Each promise of a router has a router that breaks it, and is caught."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grove_core.parts.contracts import Population
from grove_core.routing.hashed import Hashed
from grove_core.routing.quota import Quota
from grove_core.testing import RouterConformance

from .broken import caught, promises_of

Route = Callable[[Population, Any], Any]


class Altered:
    """The default router, with what a function makes of its question or of its answer."""

    def __init__(self, route: Route) -> None:
        self.route = route


def answering(change: Callable[[Any, Population], Any]) -> Callable[[], Altered]:
    return lambda: Altered(lambda population, quota: change(Quota().route(population, quota), population))


def swap_ends(target: Any, population: Population) -> Any:
    if len(target):
        target[[0, -1]] = target[[-1, 0]]
    return target


class Dealer:
    """Meets the quota, entity by entity as they stand."""

    def route(self, population: Population, quota: Any) -> Any:
        return np.repeat(np.arange(len(quota), dtype=np.int32), quota)


class Counting:
    """Answers differently every other time."""

    def __init__(self) -> None:
        self.asked = 0

    def route(self, population: Population, quota: Any) -> Any:
        self.asked += 1
        target = Quota().route(population, quota)
        return target if self.asked % 2 else target[::-1].copy()


class Remembering:
    """Keeps entities where it sent them first."""

    def __init__(self) -> None:
        self.known: dict[int, int] = {}

    def route(self, population: Population, quota: Any) -> Any:
        target = Hashed().route(population, quota)
        known = [self.known.setdefault(each, to) for each, to in zip(population.ids.tolist(), target, strict=True)]
        return np.array(known, np.int32).clip(0, len(quota) - 1)


class Reusing:
    """Writes every answer into one array."""

    def __init__(self) -> None:
        self.answer = np.zeros(1000, np.int32)

    def route(self, population: Population, quota: Any) -> Any:
        answer = self.answer[: len(population.ids)]
        answer[:] = Quota().route(population, quota)
        return answer


class Hoarding:
    """Holds a lot for each entity, for a moment."""

    def route(self, population: Population, quota: Any) -> Any:
        np.zeros((len(population.ids), 32))
        return Hashed().route(population, quota)


def own_luck() -> Altered:
    luck = random.randrange(2**20)
    return answering(lambda target, _: (target + luck) % (target.max(initial=0) + 1))()


def spend(population: Population, quota: Any) -> Any:
    target = Quota().route(population, quota)
    quota -= quota
    return target


def sort_ids(population: Population, quota: Any) -> Any:
    if population.ids.flags.writeable:
        population.ids.sort()
    return Quota().route(population, quota)


def ask_the_first(population: Population, quota: Any) -> Any:
    assert population.ids[0] is not None
    return Quota().route(population, quota)


def meet_two(population: Population, quota: Any) -> Any:
    return np.full(len(population.ids), len(quota) - 1 or 1, np.int32)


BROKEN: list[tuple[str, Any, str]] = [
    ("test_it_names_one_version_for_each_entity", answering(lambda t, _: t[:-1]), "entities got an answer of"),
    ("test_it_names_one_version_for_each_entity", answering(lambda t, _: t[:, None]), "entities got an answer of"),
    ("test_it_names_one_version_for_each_entity", answering(lambda t, _: t.astype(np.int64)), "not int32"),
    ("test_it_names_one_version_for_each_entity", answering(lambda t, _: t.astype(np.float64)), "not int32"),
    ("test_it_names_one_version_for_each_entity", answering(lambda t, _: t.tolist()), "not an array"),
    ("test_it_names_one_version_for_each_entity", answering(lambda t, p: t * 0 + len(p.versions)), "the answer names"),
    ("test_it_names_one_version_for_each_entity", answering(lambda t, _: t * 0 - 1), r"the answer names \[-1\]"),
    ("test_a_version_without_weight_gets_nobody", answering(lambda t, _: t * 0), r"versions \[0\] got entities"),
    ("test_the_quota_is_met_if_it_is_claimed", Hashed, "the quota is"),
    ("test_the_order_of_the_entities_means_nothing", Dealer, "order changed"),
    ("test_the_order_of_the_entities_means_nothing", answering(swap_ends), "order changed"),
    ("test_the_same_question_gets_the_same_answer", Counting, "answers differently|changed the answer"),
    ("test_the_same_question_gets_the_same_answer", own_luck, "another instance|changed the answer"),
    ("test_the_same_question_gets_the_same_answer", Remembering, "answers differently|the question before"),
    ("test_the_same_question_gets_the_same_answer", Reusing, "changed afterwards"),
    ("test_what_it_is_given_is_not_written", lambda: Altered(spend), "it wrote"),
    ("test_what_it_is_given_is_not_written", lambda: Altered(sort_ids), "it wrote"),
    ("test_it_names_one_version_for_each_entity", lambda: Altered(spend), "read-only"),
    ("test_of_no_entities_nobody_is_sent_anywhere", lambda: Altered(ask_the_first), "out of bounds"),
    ("test_one_version_gets_everybody", lambda: Altered(meet_two), "there is one version"),
    ("test_a_million_entities_take_a_bounded_amount_of_memory", Hoarding, "bytes for each of 1000000 entities"),
]


@pytest.mark.parametrize(("test", "broken", "why"), BROKEN)
def test_a_broken_router_is_caught(test: str, broken: Any, why: str) -> None:
    class Claiming(RouterConformance):
        exact = True

    caught(Claiming, lambda self: broken(), test, why)


def test_every_promise_is_broken_by_one() -> None:
    assert {test for test, _, _ in BROKEN} == promises_of(RouterConformance)


def test_what_is_altered_is_sound_where_nothing_is_altered() -> None:
    class Sound(RouterConformance):
        exact = True

        def make(self) -> Altered:
            return answering(lambda target, _: target)()

    for test in promises_of(Sound):
        getattr(Sound(), test)()
