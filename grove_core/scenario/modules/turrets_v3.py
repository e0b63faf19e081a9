"""Version 3 of the module `turrets`: it takes no other config while it runs."""

from __future__ import annotations

from grove_core.author.lens import Lens
from grove_core.scenario.modules import turrets_v1


class Turrets(turrets_v1.Turrets):
    """Version 1 with three barrels for one, which are cast when it starts."""

    lenses = (Lens("==1.*", "==3.*", []),)
    salvo = 3.0

    def update_config(self, config: turrets_v1.Rules) -> bool:
        """Take none."""
        return False
