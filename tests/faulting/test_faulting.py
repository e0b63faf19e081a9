"""What a fault does: roll back, restart, pause."""

import pluggy
import pytest
from packaging.version import Version

from grove_core.base.records import Fault, FaultKind, Role, VersionUse
from grove_core.faulting import builtin
from grove_core.parts import hookspecs
from grove_core.parts.contracts import Pause, Restart, Rollback
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.parts.settings import Settings

V1, V2, V3 = (Version(f"{major}.0.0") for major in (1, 2, 3))


def use(version, role, restarts=0):
    return VersionUse(
        module="gamelogic",
        version=version,
        role=role,
        weight=0.5,
        entities=50,
        idle_since=None,
        restarts=restarts,
    )


def fault(version, kind=FaultKind.RAISE):
    return Fault("gamelogic", version, kind, "it broke", tick=7, entities=50)


@pytest.fixture
def catalogue():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin)
    manager.check_pending()
    return Catalogue(manager)


@pytest.fixture
def immediate(catalogue):
    return catalogue.make(PartKind.FAULT_POLICY, Settings().fault_policy.use, {})


@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("role", [Role.CANARY, Role.PREVIOUS, Role.IDLE])
@pytest.mark.parametrize("previous", [None, V2, V3])
def test_what_is_not_stable_rolls_back_to_stable(immediate, kind, role, previous):
    uses = [use(V2, role), use(V1, Role.STABLE)]
    assert immediate.decide(fault(V2, kind), uses, previous) == Rollback(V1)


def test_stable_rolls_back_to_previous_even_if_that_is_not_loaded(immediate):
    assert immediate.decide(fault(V2), [use(V2, Role.STABLE)], V1) == Rollback(V1)
    assert immediate.decide(fault(V2), [use(V2, Role.STABLE, restarts=3)], V1) == Rollback(V1)


@pytest.mark.parametrize(("restarts", "decision"), [(0, Restart()), (1, Pause()), (5, Pause())])
def test_stable_without_previous_restarts_once_and_then_pauses(immediate, restarts, decision):
    uses = [use(V1, Role.STABLE, restarts), use(V2, Role.CANARY, restarts=0 if restarts else 4)]
    assert immediate.decide(fault(V1), uses, None) == decision


@pytest.mark.parametrize(("version", "previous"), [(V1, None), (V1, V2), (V2, V3)])
def test_pause_always_pauses(catalogue, version, previous):
    policy = catalogue.make(PartKind.FAULT_POLICY, "pause", {})
    uses = [use(V1, Role.STABLE), use(V2, Role.CANARY)]
    assert policy.decide(fault(version), uses, previous) == Pause()
