"""Every case runs, once and on a few entities: that it measures what it should shows in its figures."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from benchmarks.catalogue import CASES
from benchmarks.figures import Figure, Who, summed_up
from benchmarks.measuring import Box
from benchmarks.plan import Plan
from benchmarks.rivals.erlang import Erlang, Work
from benchmarks.targets import TARGETS

ENTITIES = 50
ONCE = Box(0.0, least=1, most=1)
OPTIONAL = {"v3 process, numba", "checkpoint / memcpy"}
"""Cases that need numba, and ticks that tell their stages."""


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Figure, ...]:
    plan = Plan((ENTITIES,), ONCE, ONCE, 1, tmp_path_factory.mktemp("packages"), None)
    taken = [each for case in CASES for size in case.sizes(plan) for each in case.measure(plan, size)]
    keys = [(each.series, each.entities) for each in taken]
    assert len(set(keys)) == len(keys) > 40, "no two series are the same"
    return summed_up(taken)


@pytest.mark.needs(1, 2, 3)
def test_every_target_is_the_target_of_a_figure(measured: tuple[Figure, ...]) -> None:
    ours = {(figure.case, figure.unit) for figure in measured if figure.who is Who.OURS}
    assert {(target.case, target.unit) for target in TARGETS if target.case not in OPTIONAL} <= ours


@pytest.mark.needs(1, 2, 3)
def test_every_figure_was_measured(measured: tuple[Figure, ...]) -> None:
    assert [figure for figure in measured if not (figure.runs >= 1 and figure.p50 >= 0)] == []


def test_cases_have_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(Erlang.find() is None, reason="Erlang is not installed")
@pytest.mark.parametrize("work", Work)
def test_erlang_does_its_work_both_ways(work: Work) -> None:
    erlang = Erlang.find()
    assert erlang is not None
    samples = erlang.samples(work, ENTITIES, Box(0.0, least=3, most=3))
    assert {who: len(runs) for who, runs in samples.items()} == {Who.ERLANG_MAP: 3, Who.ERLANG_ETS: 3}
    assert all((runs > 0).all() for runs in samples.values())
