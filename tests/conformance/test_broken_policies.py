"""Each promise of a policy or a hold has one that breaks it, and is caught."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from packaging.version import Version

from grove_core.collection.idle import Idle
from grove_core.parts.contracts import Finding, Pause, Rollback
from grove_core.testing import FaultPolicyConformance, GcPolicyConformance, HoldConformance

from .broken import caught, promises_of

SHOWN = "test_it_proposes_versions_that_it_was_shown"
EARLY = "test_nothing_is_proposed_before_it_was_unused_for_so_long"
NONE = "test_of_no_versions_none_is_proposed"


class Collecting:
    """Proposes what a function finds; it is given the threshold besides."""

    def __init__(self, threshold: float, collect: Callable[..., Any]) -> None:
        self.threshold = threshold
        self.find = collect

    def collect(self, uses: Any, now: float) -> Any:
        return self.find(uses, now, self.threshold)


class Late:
    """Remembers what was idle, and proposes it later whatever has become of it."""

    def __init__(self, threshold: float) -> None:
        self.idle = Idle(threshold)
        self.seen: set[Version] = set()

    def collect(self, uses: Any, now: float) -> Any:
        before = set(self.seen)
        self.seen |= set(self.idle.collect(uses, now))
        return [use.version for use in uses if use.version in before]


def by_its_own_clock(uses: Any, now: float, threshold: float) -> Any:
    return Idle(threshold).collect(uses, now + time.time())


BROKEN_COLLECTORS: list[tuple[str, Callable[..., Any], str]] = [
    (SHOWN, lambda uses, now, threshold: [Version("7.7")], "which it was not shown"),
    (SHOWN, lambda uses, now, threshold: [str(use.version) for use in uses], "are not versions"),
    (SHOWN, lambda uses, now, threshold: uses, "are not versions"),
    (SHOWN, lambda uses, now, threshold: None, "not iterable"),
    (SHOWN, lambda uses, now, threshold: [use.version for use in uses] * 2, "twice"),
    (EARLY, lambda uses, now, threshold: [use.version for use in uses], "it proposed"),
    (EARLY, lambda uses, now, threshold: [use.version for use in uses if use.idle_since is not None], "it proposed"),
    (EARLY, lambda uses, now, threshold: [use.version for use in uses if not use.entities], "it proposed"),
    (EARLY, by_its_own_clock, "it proposed"),
    (NONE, lambda uses, now, threshold: [max(use.version for use in uses)], "empty"),
]


@pytest.mark.parametrize(("test", "collect", "why"), BROKEN_COLLECTORS)
def test_a_broken_collection_policy_is_caught(test: str, collect: Any, why: str) -> None:
    caught(GcPolicyConformance, lambda self, threshold: Collecting(threshold, collect), test, why)


def test_a_collection_policy_that_breaks_its_promise_in_a_later_tick_is_caught() -> None:
    caught(GcPolicyConformance, lambda self, threshold: Late(threshold), EARLY, "it proposed")


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (lambda use: False, "False is no reason"),
        (lambda use: "", "'' is no reason"),
        (lambda use: {1.0: "it has weight"}[use.weight], r"0\.\d"),
        (lambda use: f"since {use.idle_since:g}", "format"),
    ],
)
def test_a_broken_hold_is_caught(reason: Any, why: str) -> None:
    class Holding:
        def reason(self, use: Any) -> Any:
            return reason(use)

    caught(HoldConformance, lambda self: Holding(), "test_it_gives_a_reason_or_none", why)


DECIDES = "test_it_decides_every_fault"
LEADS = "test_a_rollback_leads_to_another_version"
BROKEN_DECIDERS: list[tuple[str, Callable[..., Any], str]] = [
    (DECIDES, lambda fault, uses, previous: None, "None is no decision"),
    (DECIDES, lambda fault, uses, previous: "pause", "'pause' is no decision"),
    (DECIDES, lambda fault, uses, previous: Rollback, "is no decision"),
    (DECIDES, lambda fault, uses, previous: Rollback(previous.__copy__()), "NoneType"),
    (LEADS, lambda fault, uses, previous: Rollback(previous), "None is not a version"),
    (LEADS, lambda fault, uses, previous: Rollback("1.0.0"), "'1.0.0' is not a version"),  # type: ignore[arg-type]
    (LEADS, lambda fault, uses, previous: Rollback(uses[0].version), "back to itself"),
    (LEADS, lambda fault, uses, previous: Rollback(previous or Version("1.0.0")), "back to itself"),
]


@pytest.mark.parametrize(("test", "decide", "why"), BROKEN_DECIDERS)
def test_a_broken_fault_policy_is_caught(test: str, decide: Any, why: str) -> None:
    class Deciding:
        def decide(self, fault: Any, uses: Any, previous: Any) -> Any:
            return decide(fault, uses, previous)

    caught(FaultPolicyConformance, lambda self: Deciding(), test, why)


REVIEWS = "test_a_review_tells_why_and_what"
BROKEN_REVIEWERS: list[tuple[Callable[..., Any], str]] = [
    (lambda version: "too bad", "'too bad' is no verdict"),
    (lambda version: Finding(" ", Pause()), "no reason"),
    (lambda version: Finding("too bad", None), "None is no decision"),  # type: ignore[arg-type]
    (lambda version: Finding("too bad", Rollback(version)), "back to itself"),
]


@pytest.mark.parametrize(("review", "why"), BROKEN_REVIEWERS)
def test_a_broken_review_is_caught(review: Any, why: str) -> None:
    class Reviewing:
        def decide(self, fault: Any, uses: Any, previous: Any) -> Any:
            return Pause()

        def review(self, version: Any, uses: Any, previous: Any) -> Any:
            return review(version)

    caught(FaultPolicyConformance, lambda self: Reviewing(), REVIEWS, why)


def test_every_promise_is_broken_by_one() -> None:
    assert {test for test, _, _ in BROKEN_COLLECTORS} == promises_of(GcPolicyConformance)
    assert {test for test, _, _ in BROKEN_DECIDERS} | {REVIEWS} == promises_of(FaultPolicyConformance)
    assert promises_of(HoldConformance) == {"test_it_gives_a_reason_or_none"}
