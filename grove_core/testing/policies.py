"""What collection policies, holds and fault policies promise, as tests."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from grove_core.base.records import Fault, VersionUse
from grove_core.parts.contracts import FaultPolicy, Finding, GcPolicy, Hold, Pause, Restart, ReviewingPolicy, Rollback
from grove_core.testing.examples import faults, same_for_all, uses_at

NOW = 1000.0
"""The clock's time, in seconds, when a policy is first asked."""

thresholds = st.sampled_from([0.0, 0.5, 60.0, 1000.0, 10_000.0])
ticks = st.lists(uses_at(NOW), min_size=1, max_size=4)
"""What a collection policy is shown in some ticks, one second apart."""


class GcPolicyConformance:
    """Holds a collection policy against its contract, `grove_core.parts.contracts.GcPolicy`.

    Let it propose whenever it may: a policy that never proposes passes, and nothing is tested.
    """

    def make(self, unused_threshold_seconds: float) -> GcPolicy:
        """Return a new policy with this threshold, which its factory gets from `enable_auto_gc`."""
        raise NotImplementedError("let `make` return the collection policy to be tested")

    @given(thresholds, ticks)
    @same_for_all
    def test_it_proposes_versions_that_it_was_shown(
        self, threshold: float, ticks: Sequence[tuple[VersionUse, ...]]
    ) -> None:
        """The answer is an iterable of versions, each of them one of `uses`, none of them twice."""
        policy = self.make(threshold)
        for tick, uses in enumerate(ticks):
            proposed = list(policy.collect(uses, NOW + tick))
            strange = [each for each in proposed if not isinstance(each, Version)]
            assert not strange, f"{strange!r} are not versions"
            unknown = set(proposed) - {use.version for use in uses}
            assert not unknown, f"it proposed {sorted(unknown)}, which it was not shown"
            assert len(set(proposed)) == len(proposed), f"it proposed one twice: {proposed}"

    @given(thresholds, ticks)
    @same_for_all
    def test_nothing_is_proposed_before_it_was_unused_for_so_long(
        self, threshold: float, ticks: Sequence[tuple[VersionUse, ...]]
    ) -> None:
        """A version that is in use, or was less than `unused_threshold_seconds` ago by `now`, is not proposed."""
        policy = self.make(threshold)
        for tick, uses in enumerate(ticks):
            now = NOW + tick
            proposed = set(policy.collect(uses, now))
            for use in uses:
                ripe = use.idle_since is not None and now - use.idle_since >= threshold
                assert ripe or use.version not in proposed, (
                    f"it proposed {use.version}, idle since {use.idle_since}, at {now}; the threshold is {threshold}"
                )

    @given(thresholds)
    @same_for_all
    def test_of_no_versions_none_is_proposed(self, threshold: float) -> None:
        """A module may have no version that is loaded."""
        assert list(self.make(threshold).collect((), NOW)) == []


class HoldConformance:
    """Holds a hold against its contract, `grove_core.parts.contracts.Hold`."""

    def make(self) -> Hold:
        """Return a new hold."""
        raise NotImplementedError("let `make` return the hold to be tested")

    @given(uses_at(NOW))
    @same_for_all
    def test_it_gives_a_reason_or_none(self, uses: tuple[VersionUse, ...]) -> None:
        """For any use it says why the version must stay, in words, or None; it does not raise."""
        hold = self.make()
        for use in uses:
            reason = hold.reason(use)
            assert reason is None or (isinstance(reason, str) and reason.strip()), f"{reason!r} is no reason"


class FaultPolicyConformance:
    """Holds a fault policy against its contract, `grove_core.parts.contracts.FaultPolicy`."""

    def make(self) -> FaultPolicy:
        """Return a new fault policy."""
        raise NotImplementedError("let `make` return the fault policy to be tested")

    @given(st.lists(faults(), min_size=1, max_size=4))
    @same_for_all
    def test_it_decides_every_fault(self, seen: Sequence[tuple[Fault, tuple[VersionUse, ...], Version | None]]) -> None:
        """For any fault of any version, one after the other, it answers `Rollback`, `Restart` or `Pause`."""
        policy = self.make()
        for fault, uses, previous in seen:
            decision: object = policy.decide(fault, uses, previous)
            assert isinstance(decision, Rollback | Restart | Pause), f"{decision!r} is no decision"

    @given(st.lists(faults(), min_size=1, max_size=4))
    @same_for_all
    def test_a_rollback_leads_to_another_version(
        self, seen: Sequence[tuple[Fault, tuple[VersionUse, ...], Version | None]]
    ) -> None:
        """The target of a `Rollback` is a version, and not the one that failed."""
        policy = self.make()
        for fault, uses, previous in seen:
            decision = policy.decide(fault, uses, previous)
            if isinstance(decision, Rollback):
                assert isinstance(decision.target, Version), f"{decision.target!r} is not a version"
                assert decision.target != fault.version, f"it rolls {fault.version} back to itself"

    @given(st.lists(faults(), min_size=1, max_size=4))
    @same_for_all
    def test_a_review_tells_why_and_what(
        self, seen: Sequence[tuple[Fault, tuple[VersionUse, ...], Version | None]]
    ) -> None:
        """Where it reviews failed entities: it answers None, or a `Finding` with a reason and a decision."""
        policy = self.make()
        if not isinstance(policy, ReviewingPolicy):
            return
        for fault, uses, previous in seen:
            verdict: object = policy.review(fault.version, uses, previous)
            if verdict is None:
                continue
            assert isinstance(verdict, Finding), f"{verdict!r} is no verdict"
            assert verdict.reason.strip(), "it gives no reason"
            assert isinstance(verdict.decision, Rollback | Restart | Pause), f"{verdict.decision!r} is no decision"
            if isinstance(verdict.decision, Rollback):
                assert verdict.decision.target != fault.version, f"it rolls {fault.version} back to itself"
