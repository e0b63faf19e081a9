"""Every part that the plugins of this environment register keeps its contract, built in or not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from grove_core.parts.plugins import Catalogue, PartKind, make_plugin_manager
from grove_core.testing import (
    FaultPolicyConformance,
    GcPolicyConformance,
    HoldConformance,
    IsolationConformance,
    JudgeConformance,
    MigratorConformance,
    RouterConformance,
    SinkConformance,
    ValidatorConformance,
)

CATALOGUE = Catalogue(make_plugin_manager()[0])
SUITES: dict[PartKind, type[Any]] = {
    PartKind.ROUTER: RouterConformance,
    PartKind.MIGRATOR: MigratorConformance,
    PartKind.GC_POLICY: GcPolicyConformance,
    PartKind.HOLD: HoldConformance,
    PartKind.FAULT_POLICY: FaultPolicyConformance,
    PartKind.VALIDATOR: ValidatorConformance,
    PartKind.JUDGE: JudgeConformance,
    PartKind.SINK: SinkConformance,
    PartKind.ISOLATION: IsolationConformance,
}
EXACT = {"quota"}
OPTIONS: dict[str, dict[str, Any]] = {
    "bounded_change": {"per_second": {"x": 1.0, "w": 0}},
    "jsonl": {"path": os.devnull},
    "prometheus": {"port": 0},
}
"""Of the parts that cannot be made without, or not twice at once on one machine."""
EXTRAS = {"prometheus": "prometheus_client"}
"""What parts need that does not come with Grove."""
OPTIONAL = {PartKind.MIGRATOR}
"""Kinds of which there may be none."""


def accepted(self: Any) -> Any:
    """Stand for what only a migrator's own tests can say."""
    pytest.skip("its own tests say what it accepts")


def maker(kind: PartKind, name: str) -> Callable[..., Any]:
    """Return a `make` that makes the part as the engine does, without options where it can be."""
    if kind is PartKind.GC_POLICY:
        return lambda self, threshold: CATALOGUE.make(kind, name, {"unused_threshold_seconds": threshold})

    def make(self: Any) -> Any:
        if name in EXTRAS:
            pytest.importorskip(EXTRAS[name])
        return CATALOGUE.make(kind, name, OPTIONS.get(name, {}))

    return make


def suite(kind: PartKind, name: str) -> type[Any]:
    """Return the class that holds one part against its contract."""
    title = f"Test_{kind.value}_{name}".replace("-", "_")
    members = {"make": maker(kind, name), "exact": name in EXACT, "accepted": accepted, "__module__": __name__}
    return type(title, (SUITES[kind],), members)


globals().update({made.__name__: made for made in (suite(kind, name) for kind, name in CATALOGUE.parts)})


def test_no_plugin_fails_and_every_kind_has_a_suite_and_a_part() -> None:
    assert not CATALOGUE.failures
    assert set(SUITES) == set(PartKind) == {kind for kind, _ in CATALOGUE.parts} | OPTIONAL
    assert {name for kind, name in CATALOGUE.parts if kind is PartKind.ROUTER} >= EXACT
