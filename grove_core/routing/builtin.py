"""The routers that come with Grove, registered as any plugin's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grove_core.parts.hookspecs import hookimpl
from grove_core.routing.hashed import Hashed
from grove_core.routing.modulo import Modulo
from grove_core.routing.quota import Quota
from grove_core.routing.rendezvous import Rendezvous

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grove_core.parts.contracts import Router


@hookimpl
def grove_register_routers() -> Mapping[str, Callable[..., Router]]:
    """Offer `quota`, the default, `modulo`, and the stateless `rendezvous` and `hashed`; none has options."""
    return {"quota": Quota, "modulo": Modulo, "rendezvous": Rendezvous, "hashed": Hashed}
