"""Version 4 of the module `turrets`: it takes a config, and finds then that it cannot do what that says."""

from __future__ import annotations

import os

from grove_core.author.lens import Lens
from grove_core.scenario.modules import turrets_v1

SIEGE, FRENZY, RUIN = "siege", "frenzy", "ruin"
"""The modes in which it raises, hangs, and dies."""


class Turrets(turrets_v1.Turrets):
    """Version 1 with four barrels for one, and three modes too many."""

    lenses = (Lens("==1.*", "==4.*", []),)
    salvo = 4.0

    def update_config(self, config: turrets_v1.Rules) -> bool:
        """Take another one, and balk."""
        self.initialize(config)
        while config.mode == FRENZY:
            pass
        if config.mode == RUIN:
            os._exit(3)
        if config.mode == SIEGE:
            raise ValueError("this version cannot lay siege")
        return True
