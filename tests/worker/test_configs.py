"""What a module that describes its config says of one: every mistake, each with its path."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import pytest

from grove_core import Module
from grove_core.base.errors import PackageError
from grove_core.worker.configs import MOST, mistakes_of, read, schema_of

T = TypeVar("T")
Positive = Annotated[int, msgspec.Meta(gt=0)]


class Unit(msgspec.Struct):
    cost: Positive = 1
    kind: Literal["tank", "jet"] = "tank"


class Renamed(msgspec.Struct, rename="camel"):
    top_speed: float


class Box(msgspec.Struct, Generic[T]):
    inside: T


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    name: str


class Pair(msgspec.Struct, array_like=True):
    a: int
    b: int


class Tree(msgspec.Struct):
    value: int = 0
    parts: list[Tree] = []


Speed = IntEnum("Speed", [f"gear_{number}" for number in range(40)], start=0)


class Game(msgspec.Struct):
    name: str
    units: dict[str, Unit] = {}
    order: list[Unit] = []
    fixed: tuple[Unit, ...] = ()
    best: Unit | None = None
    renamed: Renamed | None = None
    box: Box[Unit] | None = None
    pet: Cat | Dog | None = None
    tagged: Cat | None = None
    pair: Pair | None = None
    few: Annotated[list[Positive], msgspec.Meta(max_length=2)] = []
    tree: Tree | None = None
    speed: Speed | None = None
    low: int = 0
    high: int = 10

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"name": "a"}, []),
        ({}, ["name: it is missing"]),
        ({"name": 1, "low": "x"}, ["name: Expected `str`, got `int`", "low: Expected `int`, got `str`"]),
        ({"name": "a", "units": {"a b": {"cost": 0}, "c": {"kind": "x"}}}, ["units['a b'].cost:", "units.c.kind:"]),
        ({"name": "a", "order": [{}, {"cost": -1}, 3]}, ["order[1].cost:", "order[2]: Expected `object`, got `int`"]),
        ({"name": "a", "fixed": [{"cost": ""}]}, ["fixed[0].cost: Expected `int`, got `str`"]),
        ({"name": "a", "best": {"cots": 1}}, ["best.cots: there is no such key (did you mean 'cost'?); there are: "]),
        ({"name": "a", "best": None}, []),
        (
            {"name": "a", "renamed": {"top_speed": 1}},
            ["renamed.top_speed: there is no such", "renamed.topSpeed: "],
        ),
        ({"name": "a", "renamed": {"topSpeed": 1}}, []),
        ({"name": "a", "box": {"inside": {"cost": 0}}}, ["box.inside.cost: Expected `int` >= 1"]),
        ({"name": "a", "pet": {"type": "cat", "lives": 9}}, []),
        ({"name": "a", "pet": {"type": "cow"}}, ["pet.type: Invalid value 'cow'"]),
        ({"name": "a", "tagged": {"type": "cat", "lives": 9}}, []),
        ({"name": "a", "tagged": {"type": "cat", "lives": "9"}}, ["tagged.lives: Expected `int`, got `str`"]),
        ({"name": "a", "pair": [1, 2]}, []),
        ({"name": "a", "pair": [1, "2"]}, ["pair[1]: Expected `int`, got `str`"]),
        ({"name": "a", "pair": {"a": 1}}, ["pair: Expected `array | null`, got `object`"]),
        ({"name": "a", "few": [1, 2, 3]}, ["few: Expected `array` of length <= 2"]),
        ({"name": "a", "few": [0, 2, -3]}, ["few[0]: Expected `int` >= 1", "few[2]: Expected `int` >= 1"]),
        ({"name": "a", "tree": {"parts": [{"parts": [{"value": ""}]}]}}, ["tree.parts[0].parts[0].value: Expected"]),
        (
            {"name": "a", "best": {"kind": "tnak"}, "speed": "fast", "order": [{"kind": 7}]},
            [
                "order[0].kind: Expected `str`, got `int`; there are: 'tank', 'jet'",
                "best.kind: Invalid enum value 'tnak' (did you mean 'tank'?); there are: 'tank', 'jet'",
                "speed: Expected `int | null`, got `str`; there are: 0, 1, ",
            ],
        ),
        ({"name": "a", "speed": 40}, ["speed: Invalid enum value 40; there are: 0, 1, 2"]),
        ({"name": "a", "low": 11}, ["config: low must not be above high"]),
    ],
)
def test_every_mistake_has_its_path(config: dict[str, Any], expected: list[str]) -> None:
    mistakes = mistakes_of(config, Game)
    assert len(mistakes) == len(expected), mistakes
    assert [line for line, begins in zip(mistakes, expected, strict=True) if not line.startswith(begins)] == []


def test_so_many_mistakes_are_told() -> None:
    mistakes = mistakes_of({"name": "a", "few": [0] * 1000}, Game)
    assert len(mistakes) == MOST + 1
    assert mistakes[-1].startswith("there may be more")


def module(kind: Any) -> type[Module]:
    return type("Main", (Module,), {"config_type": kind})


def test_a_module_gets_what_describes_its_config() -> None:
    assert read(module(Game), {"name": "a", "units": {"b": {}}}).units == {"b": Unit(1, "tank")}
    config = {"any": "thing"}
    assert read(Module, config) is config


def test_a_description_is_a_json_schema() -> None:
    assert schema_of(Module) is None
    schema = schema_of(module(Unit))
    assert schema is not None
    assert schema["$defs"]["Unit"]["properties"]["kind"] == {"enum": ["jet", "tank"], "default": "tank"}


class Strange(msgspec.Struct):
    value: Module


@pytest.mark.parametrize("kind", [dict, 7, Unit(), Strange])
def test_what_describes_no_config(kind: Any) -> None:
    with pytest.raises(PackageError, match="config_type"):
        schema_of(module(kind))
