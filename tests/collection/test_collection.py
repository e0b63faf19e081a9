"""The idle policy and the holds, through the hooks."""

import math

import pluggy
import pytest
from packaging.version import Version

from grove_core.base.errors import InvalidInput, PluginFailed
from grove_core.base.records import Role, VersionUse
from grove_core.collection import builtin
from grove_core.collection.idle import Idle
from grove_core.parts import hookspecs
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.parts.settings import Settings


def use(major, role=Role.IDLE, idle_since=None):
    return VersionUse(
        module="gamelogic",
        version=Version(f"{major}.0.0"),
        role=role,
        weight=0.0,
        entities=0,
        idle_since=idle_since,
        restarts=0,
    )


@pytest.fixture
def catalogue():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin)
    manager.check_pending()
    made = Catalogue(manager)
    assert not made.failures
    return made


@pytest.mark.parametrize(
    ("threshold", "now", "collected"),
    [(10.0, 89.9, []), (10.0, 90.0, ["1.0.0"]), (10.0, 200.0, ["1.0.0", "3.0.0"]), (0.0, 80.0, ["1.0.0"])],
)
def test_what_is_idle_for_long_enough_is_proposed(catalogue, threshold, now, collected):
    policy = catalogue.make(PartKind.GC_POLICY, "idle", {"unused_threshold_seconds": threshold})
    uses = [use(1, idle_since=80.0), use(2, Role.STABLE), use(3, idle_since=now - 1 if now < 200 else 95.0)]
    if threshold == 0.0:
        uses.pop()
    assert list(map(str, policy.collect(uses, now))) == collected


def test_what_became_idle_at_time_zero_counts():
    assert list(Idle(5.0).collect([use(1, idle_since=0.0)], 5.0)) == [Version("1.0.0")]


@pytest.mark.parametrize("threshold", [-1.0, math.nan, math.inf, -0.001])
def test_a_threshold_that_means_nothing_is_refused(catalogue, threshold):
    with pytest.raises(InvalidInput, match="unused_threshold_seconds"):
        Idle(threshold)
    with pytest.raises(PluginFailed, match="unused_threshold_seconds"):
        catalogue.make(PartKind.GC_POLICY, "idle", {"unused_threshold_seconds": threshold})


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("name", "held"), [("stable", Role.STABLE), ("previous", Role.PREVIOUS)])
def test_a_hold_keeps_its_role_only(catalogue, name, held, role):
    reason = catalogue.make(PartKind.HOLD, name, {}).reason(use(1, role))
    assert (reason is not None) == (role is held)
    assert reason is None or reason.startswith("it is the ")


def test_the_default_settings_choose_what_is_registered(catalogue):
    settings = Settings()
    assert settings.holds == ("stable",)
    for name in settings.holds:
        catalogue.make(PartKind.HOLD, name, {})
    catalogue.make(PartKind.GC_POLICY, settings.gc_policy.use, {"unused_threshold_seconds": 60.0})
