"""Services and handles without an engine: what they say of a class, and how an author tests with them."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grove_core import Entities, Module, Needs, Schema, service
from grove_core.author.services import Base, needs_of, services_of
from grove_core.base.errors import InvalidInput, Refused, SchemaError


class Bank(Module):
    schema = Schema(gold="f8")

    @service
    def gold(self, ids: Any) -> Any:
        return self.entities.gold

    @service
    def total(self, least: float = 0.0, *more: float, strict: bool, **rest: int) -> float:
        return float(self.entities.gold.sum())

    def process(self, dt: float) -> None:
        self.entities.gold += dt


class Shop(Module):
    schema = Schema(seen="f8")
    bank = Needs("bank>=1,<2")

    def process(self, dt: float) -> None:
        self.entities.seen = self.bank.gold(self.entities.id)


class Market(Shop):
    weather = Needs("weather")


class Loud:
    """A line that gives back what it was told."""

    def call(self, *given: Any) -> Any:
        return given


def test_services_of_a_class_are_those_that_are_marked() -> None:
    told = {each.name: each for each in services_of(Bank)}
    assert set(told) == {"gold", "total"}
    assert told["gold"].per_entity
    assert not told["total"].per_entity
    assert str(told["total"].read()) == "(least=None, *more, strict, **rest)"


def test_a_service_cannot_have_a_name_that_no_handle_has() -> None:
    with pytest.raises(SchemaError, match="'_gold'"):
        services_of(type("Odd", (Bank,), {"_gold": service(lambda self: 1)}))


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (service(lambda self, *, ids: ids), "must take `ids` as a plain first argument"),
        (service(lambda self, *ids: ids), r"must take `ids` as a plain first argument, not \*ids"),
        (staticmethod(service(lambda item: item)), "is no plain method"),
        (classmethod(service(lambda kind: kind)), "is no plain method"),
        (functools.cache(service(lambda self: 1)), "is no plain method"),
    ],
)
def test_what_no_handle_could_call_is_refused(odd: Any, said: str) -> None:
    with pytest.raises(SchemaError, match=f"the service 'odd' {said}"):
        services_of(type("Odd", (Bank,), {"odd": odd}))


def test_handles_are_inherited() -> None:
    assert [each.requirement for each in needs_of(Market)] == ["weather", "bank>=1,<2"]
    assert Market.bank.module == "bank"


@pytest.mark.parametrize("odd", ["", "  ", ">=1", None, 7])
def test_a_requirement_that_cannot_be_read_is_left_to_the_load_to_refuse(odd: Any) -> None:
    assert Needs(odd).module == ""


def test_without_an_engine_a_handle_says_what_to_do_and_can_be_replaced() -> None:
    shop = Shop()
    shop.entities = Entities.of(Shop.schema, id=[1, 2])
    with pytest.raises(Refused, match="set the attribute to what is to answer"):
        shop.process(0.1)
    shop.bank = SimpleNamespace(gold=lambda ids: ids * 2.0)
    shop.process(0.1)
    np.testing.assert_array_equal(shop.entities.seen, [2.0, 4.0])


def test_a_service_is_a_method_as_any() -> None:
    bank = Bank()
    bank.entities = Entities.of(Bank.schema, id=[1, 2], gold=[3.0, 4.0])
    assert bank.total(strict=True) == 7.0


def test_what_is_given_is_held_against_the_signature_before_it_is_sent() -> None:
    base = Base("bank", "1.0.0", services_of(Bank), Loud())
    module, offered, given, shared = base.total(1.0, 2.0, strict=True, other=3)
    assert (module, offered.name, given, shared) == ("bank", "total", (1.0, 2.0), {"strict": True, "other": 3})
    with pytest.raises(InvalidInput, match=r"bank\.gold\(.*: missing a required argument: 'ids'"):
        base.gold()
    with pytest.raises(InvalidInput, match="'strict'"):
        base.total()
    with pytest.raises(AttributeError, match=r"bank@1\.0\.0 has no service 'silver'; it has: gold, total"):
        base.silver  # noqa: B018
    assert dir(base) == ["gold", "total"]
    assert repr(base) == "<bank@1.0.0: gold, total>"
