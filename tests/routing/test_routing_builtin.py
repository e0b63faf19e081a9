"""The routers as plugins."""

import pluggy

from grove_core.parts import hookspecs
from grove_core.parts.plugins import Catalogue, PartKind
from grove_core.routing import builtin
from grove_core.routing.modulo import Modulo
from grove_core.routing.quota import Quota


def test_routers_are_found_through_the_hook():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin)
    manager.check_pending()
    catalogue = Catalogue(manager)
    assert isinstance(catalogue.make(PartKind.ROUTER, "quota", {}), Quota)
    assert isinstance(catalogue.make(PartKind.ROUTER, "modulo", {}), Modulo)
    assert not catalogue.failures
