"""Version 2 of the module `turrets`: it fires twice."""

from __future__ import annotations

from grove_core.author.lens import Lens
from grove_core.scenario.modules import turrets_v1


class Turrets(turrets_v1.Turrets):
    """Version 1 with two barrels for one."""

    lenses = (Lens("==1.*", "==2.*", []),)
    salvo = 2.0
