"""Version 2 of the module `archive`: it has other names, units and dtypes, a column more and one less."""

from __future__ import annotations

from grove_core.author.lens import Add, Cast, Drop, Lens, Rename, Scale
from grove_core.author.schema import Schema
from grove_core.scenario.modules import archive_v1

FACTOR = 0.001


class Archive(archive_v1.Archive):
    """Counts in steps of two."""

    schema = Schema(
        level="f8",
        r03="f4",
        flag="?",
        **dict.fromkeys((each for each in archive_v1.READINGS if each not in ("r01", "r03", "r13")), "f8"),
    )
    lenses = (
        Lens(
            "==1.*",
            "==2.*",
            [Rename("r01", "level"), Scale("r02", FACTOR), Cast("r03", "f4"), Drop("r13"), Add("flag")],
        ),
    )
    step = 2.0
