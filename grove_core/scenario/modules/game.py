"""The modules of a game in an engine, and what their entities must be: computed apart from every version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from packaging.version import Version

from grove_core.scenario.common.brought import Bring, Brought
from grove_core.scenario.modules.cases import same_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.base.records import TickReport
    from grove_core.debug import DebugEngine

MAP, UNITS, AI, CHAT = MODULES = ("map", "units", "ai", "chat")
VERSIONS = {major: Version(f"{major}.0.0") for major in (1, 2, 3, 4)}
LATER = ((MAP, UNITS), (UNITS, AI))
"""What needs what: the second needs the first."""
STEP = {1: 1, 2: 10, 3: 100}
"""What a tick of each version adds to `count`."""
EXPECTED = ("count", "value", "served")
FILES: Mapping[str, tuple[str, ...]] = {
    "game_v1": MODULES,
    "game_v2": (MAP, UNITS, AI),
    "game_v3": (MAP,),
    "game_v4": (MAP,),
    "tangle_v1": ("rain", "river", "sea", "replay", "clock", "weather", "economy", "campaign"),
    "tangle_v2": ("clock", "weather", "campaign"),
}
"""File -> of which modules it has a version."""
EVERY = tuple(dict.fromkeys(module for modules in FILES.values() for module in modules))
BROUGHT = Brought(
    [
        Bring(module, VERSIONS[int(file[-1])], f"{__package__}.{file}:{module.capitalize()}", file.replace("_v", " "))
        for file, modules in FILES.items()
        for module in modules
    ]
)
"""The plugin that finds all of them."""


class Side:
    """The entities of one module, as they must be.

    Args:
        engine: gets them.
        name: the module's; a version of it is loaded.
        count: how many.
    """

    def __init__(self, engine: DebugEngine, name: str, count: int) -> None:
        self._engine, self._name = engine, name
        value = np.arange(count) / 8 + len(name)
        self.ids: NDArray[np.int64] = np.sort(engine.spawn(name, value=value))
        self._columns: dict[str, NDArray[Any]] = {
            "count": np.zeros(count, np.int64),
            "value": value,
            "served": np.zeros(count, np.int64),
        }
        self._served = {1: 0}
        """The document of each version, by its major number."""

    def tick(self) -> None:
        """Do what a tick did: each entity in the version that it is in now."""
        majors = np.fromiter((each.major for each in self._engine.locate(self._name, self.ids)), np.int64)
        self._columns["value"] = self._columns["value"] * 0.75 + self.ids
        for major in np.unique(majors).tolist():
            self._columns["count"][majors == major] += STEP[major]
            if self._name != MAP:
                self._served[major] += 1
                self._columns["served"][majors == major] = self._served[major]

    def seed(self, source: Version, target: Version) -> None:
        """Note that a version was loaded, with the document that another one has now."""
        self._served[target.major] = self._served[source.major]

    def found(self) -> dict[str, NDArray[Any]]:
        """Return all columns, sorted by id."""
        columns = self._engine.entities(self._name)
        order = np.argsort(columns["id"])
        return {name: values[order] for name, values in columns.items()}

    def differences(self) -> list[str]:
        """Say what is not as it must be."""
        found = self.found()
        if not np.array_equal(found["id"], self.ids):
            return [f"{self._name}: there are {len(found['id'])} entities, not {len(self.ids)}, or others"]
        wrong = {name: int(np.count_nonzero(~same_bits(values, found[name]))) for name, values in self._columns.items()}
        return [f"{self._name}: {name} is wrong in {n} of {len(self.ids)} entities" for name, n in wrong.items() if n]

    def take_over(self) -> None:
        """Make what is expected what there is: what was wrong once is not to be found wrong ever after."""
        found = self.found()
        self.ids, self._columns = found["id"], {name: found[name] for name in EXPECTED}
        self._served = dict.fromkeys(self._served, int(found["served"].max(initial=0)))


class Game:
    """All modules of the game.

    Args:
        engine: has a version of each.
        count: how many entities each gets.
    """

    def __init__(self, engine: DebugEngine, count: int) -> None:
        self._sides = {name: Side(engine, name, count) for name in MODULES}

    def tick(self) -> None:
        """Do what a tick did."""
        for side in self._sides.values():
            side.tick()

    def seed(self, name: str, source: Version, target: Version) -> None:
        """Note that a version of a module was loaded, with the document that another one has now."""
        self._sides[name].seed(source, target)

    def found(self, *names: str) -> dict[tuple[str, str], bytes]:
        """Return every column of some modules, as bytes."""
        return {
            (name, column): values.tobytes() for name in names for column, values in self._sides[name].found().items()
        }

    def differences(self) -> list[str]:
        """Say what is not as it must be, once."""
        wrong = []
        for side in self._sides.values():
            if found := side.differences():
                wrong += found
                side.take_over()
        return wrong

    def order(self, report: TickReport) -> list[str]:
        """Say what was not in its order in the last tick: by the engine's report, and by when each worked."""
        places = {name: place for place, level in enumerate(report.levels) for name in level}
        wrong = [f"it was not ticked: {name}" for name in self._sides if name not in places]
        times = {name: side.found() for name, side in self._sides.items()}
        for base, later in LATER:
            if places.get(base, 0) >= places.get(later, 1):
                wrong.append(f"{later} was not ticked after {base}: the levels were {told(report.levels)}")
            ended, began = times[base]["ended"].max(initial=0), times[later]["began"].min(initial=2**62)
            if began < ended:
                wrong.append(f"{later} began {(ended - began) / 1e6:.3f}ms before {base} had ended")
        return wrong


def told(groups: Iterable[Iterable[str]]) -> str:
    """Return groups of modules in words."""
    return "; ".join(", ".join(group) for group in groups)
