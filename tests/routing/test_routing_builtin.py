"""The routers as plugins."""

from __future__ import annotations

import pluggy
import pytest

from grove_core.base.errors import PluginFailed
from grove_core.parts import hookspecs
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.parts.settings import Settings
from grove_core.routing import builtin
from grove_core.routing.hashed import Hashed
from grove_core.routing.modulo import Modulo
from grove_core.routing.quota import Quota
from grove_core.routing.rendezvous import Rendezvous

ROUTERS = {"quota": Quota, "modulo": Modulo, "rendezvous": Rendezvous, "hashed": Hashed}


@pytest.fixture
def catalogue() -> Catalogue:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin)
    manager.check_pending()
    return Catalogue(manager)


def test_routers_are_found_through_the_hook(catalogue: Catalogue) -> None:
    assert {name for kind, name in catalogue.parts if kind is PartKind.ROUTER} == set(ROUTERS)
    assert not catalogue.failures


@pytest.mark.parametrize("name", ROUTERS)
def test_a_router_is_made_by_its_name_and_has_no_options(catalogue: Catalogue, name: str) -> None:
    assert type(catalogue.make(PartKind.ROUTER, name, {})) is ROUTERS[name]
    with pytest.raises(PluginFailed, match=f"'{name}' cannot be made"):
        catalogue.make(PartKind.ROUTER, name, {"load": 1.25})


def test_the_default_is_registered(catalogue: Catalogue) -> None:
    catalogue.find(PartKind.ROUTER, Settings().router.use)
