"""The turrets in an engine, and what they must be: computed apart from every version, from what each was told."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

# Before anything runs: numpy loads it lazily, and what it is compiled with drops a Ctrl-C that comes meanwhile.
from numpy.random import default_rng
from packaging.version import Version

from grove_core.scenario.common.brought import Bring, Brought
from grove_core.scenario.modules.cases import same_bits
from grove_core.scenario.modules.slate import checksum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grove_core.debug import DebugEngine

MODULE, SLATE = "turrets", "slate"
VERSIONS = {major: Version(f"{major}.0.0") for major in (1, 2, 3, 4)}
SALVO = {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
DEFAULTS: Mapping[str, Any] = {"rate": 1.0, "mode": "hold", "names": [], "barrels": {}, "born": {}}
BARREL: Mapping[str, Any] = {"caliber": 20, "spread": 0.125}
BORN: Mapping[str, Any] = {"health": 100, "armour": 0.25}
BROUGHT = Brought(
    [
        *(Bring(MODULE, version, f"{__package__}.turrets_v{major}:Turrets") for major, version in VERSIONS.items()),
        Bring(SLATE, VERSIONS[1], f"{__package__}.slate:Slate"),
    ]
)
"""The plugin that finds all of them."""
Changes = Mapping[tuple[str, ...], Any]
"""Path in a config -> the value that is to be there; None where there is to be none."""


class Turrets:
    """Both sides, and how they are held against each other.

    Args:
        engine: gets the module; nothing of it is loaded by then.
    """

    def __init__(self, engine: DebugEngine) -> None:
        self._engine = engine
        self.given: dict[int, dict[str, Any]] = {}
        """Major number -> the config that this version was given last."""
        self.held: dict[str, Any] = {}
        """What those get that are loaded later."""
        self.ids = np.empty(0, np.int64)
        self.majors = np.empty(0, np.int64)
        self.columns: dict[str, NDArray[Any]] = {
            "shots": np.empty(0, np.float64),
            "damage": np.empty(0, np.int64),
            "rules": np.empty(0, np.int64),
            "due": np.empty(0, np.bool_),
            "health": np.empty(0, np.int32),
            "armour": np.empty(0, np.float32),
        }

    def give(self, config: dict[str, Any]) -> None:
        """Note that all versions were given another config."""
        self.held, self.given = config, dict.fromkeys(self.given, config)

    def merge(self, changes: Changes) -> None:
        """Note that changes were merged into what each version has."""
        self.held = changed(self.held, changes)
        self.given = {major: changed(config, changes) for major, config in self.given.items()}

    def build(self, count: int) -> None:
        """Have so many built, by the program; none of them says what it is built with."""
        self._built(self._engine.spawn(MODULE, shots=np.zeros(count)))

    def have_built(self, count: int) -> None:
        """Have so many that the next tick lets versions build one each, on top of those that are there."""
        ids = self._engine.spawn(MODULE, due=np.ones(count, np.bool_))
        self._built(ids)
        self.columns["due"][np.isin(self.ids, ids)] = True

    def tick(self) -> None:
        """Do what a tick did, each turret in the version that it is in now; new ones are taken in."""
        for major in np.unique(self.majors):
            mine, config = self.majors == major, complete(self.given[int(major)])
            self.columns["shots"][mine] += SALVO[int(major)] * config["rate"]
            self.columns["damage"][mine] += sum(barrel["caliber"] for barrel in config["barrels"].values())
            self.columns["rules"][mine] = checksum(config)
        due, self.columns["due"] = int(self.columns["due"].sum()), np.zeros(len(self.ids), np.bool_)
        if due:
            self._built(np.setdiff1d(self._engine.entities(MODULE)["id"], self.ids))

    def locate(self) -> None:
        """Ask which version every turret is in.

        Raises:
            UnknownEntity: one is lost.
        """
        self.majors = np.fromiter((each.major for each in self._engine.locate(MODULE, self.ids)), np.int64)

    def differences(self) -> list[str]:
        """Say what is not as it must be, in values, and in what the engine says that versions were given."""
        found, wrong = self._found(), []
        for version in self._engine.get_loaded_versions(MODULE):
            config = self._engine.config.get(MODULE, version)
            if config != self.given[version.major]:
                wrong.append(f"{version} was given {self.given[version.major]}, and the engine says {config}")
        if not np.array_equal(found["id"], self.ids):
            return [*wrong, f"there are {len(found['id'])} turrets, not {len(self.ids)}, or others"]
        for name, values in self.columns.items():
            right = same_bits(values, found[name])
            if not right.all():
                who = ", ".join(f"{major}.0.0" for major in np.unique(self.majors[~right]))
                wrong.append(f"{name} is wrong in {np.count_nonzero(~right)} of {len(right)} turrets (in {who})")
        return wrong

    def take_over(self) -> None:
        """Make what is expected what there is: what was wrong once is not to be found wrong ever after."""
        found = self._found()
        self.ids, self.columns = found["id"], {name: found[name] for name in self.columns}
        self.given = {
            version.major: self._engine.config.get(MODULE, version)
            for version in self._engine.get_loaded_versions(MODULE)
        }
        self.locate()

    def _found(self) -> dict[str, NDArray[Any]]:
        """Return the columns, sorted by id."""
        columns = self._engine.entities(MODULE)
        order = np.argsort(columns["id"])
        return {name: values[order] for name, values in columns.items()}

    def _built(self, ids: NDArray[np.int64]) -> None:
        """Take new ones in: each is built as the config says of the version that it is in."""
        majors = np.fromiter((each.major for each in self._engine.locate(MODULE, ids)), np.int64)
        born = [complete(self.given[major])["born"] for major in majors.tolist()]
        order = np.argsort(np.concatenate([self.ids, ids]))
        for name, values in self.columns.items():
            new = [each[name] for each in born] if name in BORN else np.zeros(len(ids))
            self.columns[name] = np.concatenate([values, np.array(new, values.dtype)])[order]
        self.ids = np.concatenate([self.ids, ids])[order]
        self.majors = np.concatenate([self.majors, majors])[order]


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with everything that it leaves out."""
    whole = {**DEFAULTS, **config}
    whole["born"] = {**BORN, **whole["born"]}
    whole["barrels"] = {name: {**BARREL, **barrel} for name, barrel in whole["barrels"].items()}
    return whole


class Draw:
    """Draws configs, and changes of them: the same ones each time."""

    def __init__(self, seed: int) -> None:
        self._random = default_rng(seed)

    def config(self) -> dict[str, Any]:
        """Return one, of which no part needs to be there; its rate is another one each time."""
        config: dict[str, Any] = {"rate": 0.25 * int(self._random.integers(1, 200))}
        if self._random.random() < 0.75:
            config["mode"] = ["hold", "free"][self._random.integers(2)]
        if self._random.random() < 0.75:
            config["names"] = [f"tower {each}" for each in self._random.integers(0, 99, 3).tolist()]
        config["barrels"] = {name: self._barrel() for name in self._some(("short", "long", "very long"))}
        config["born"] = {"health": int(self._random.integers(1, 1000)), "armour": int(self._random.integers(8)) / 8}
        return config

    def changes(self) -> Changes:
        """Return single changes."""
        found: dict[tuple[str, ...], Any] = {}
        for path in self._some((("rate",), ("mode",), ("names",), ("born", "health"), ("born", "armour"))):
            drawn: Any = self.config()
            for key in path:
                drawn = drawn.get(key) if drawn else None
            found[path] = drawn if self._random.random() < 0.75 else None
        for name in self._some(("short", "long", "very long")):
            if self._random.random() < 0.5:
                found["barrels", name] = None
            else:
                found["barrels", name, "caliber"] = int(self._random.integers(1, 200))
        return found

    def _barrel(self) -> dict[str, Any]:
        return {"caliber": int(self._random.integers(1, 200))} if self._random.random() < 0.75 else {}

    def _some(self, of: Iterable[Any]) -> list[Any]:
        return [each for each in of if self._random.random() < 0.6]


def patch_of(changes: Changes) -> dict[str, Any]:
    """Return single changes as one table in tables, as `update_partial` takes them."""
    patch: dict[str, Any] = {}
    for path, value in changes.items():
        table = patch
        for key in path[:-1]:
            table = table.setdefault(key, {})
        table[path[-1]] = value
    return patch


def changed(config: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Return what a config is after single changes, made one by one."""
    whole = copy.deepcopy(dict(config))
    for path, value in changes.items():
        table = whole
        for key in path[:-1]:
            table = table.setdefault(key, {})
        table.pop(path[-1], None)
        if value is not None:
            table[path[-1]] = value
    return whole
