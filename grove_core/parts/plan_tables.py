"""How plans are read from settings."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from grove_core.base.comparison import Objective
from grove_core.base.errors import InvalidPlan
from grove_core.base.showing import brief
from grove_core.parts.choice import Choice
from grove_core.parts.plans import NAME, READY, Gate, OnFailure, Plan, Step, Wait, Weigh


def plans_of(tables: Mapping[str, Any]) -> dict[str, Plan]:
    """Read the table `rollouts` of settings: name -> a plan; the ready-made ones are there as well.

    A plan has `steps`, or says `use = "ramp"` and the options of that one.

    Raises:
        InvalidPlan: with every mistake of every plan, and its path.
    """
    plans = {name: make() for name, make in READY.items()}
    mistakes: list[str] = []
    for name, table in tables.items():
        path = f"rollouts.{_shown(name)}"
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            mistakes.append(f"{path}: a name has small letters, digits, _ and -, and begins with a letter")
        elif isinstance(table, Plan):
            plans[name] = replace(table, name=name)
        elif not isinstance(table, dict):
            mistakes.append(f"{path}: must be a table, not {brief(table)}")
        else:
            try:
                plans[name] = replace(_plan(name, table), name=name)
            except InvalidPlan as error:
                mistakes += [f"{path}.{line}" for line in error.message.split("\n")]
    if mistakes:
        raise InvalidPlan("\n".join(mistakes))
    return plans


def _shown(key: object) -> str:
    """Return a key as a part of a path."""
    return key if isinstance(key, str) and key.isidentifier() else brief(key)


def _plan(name: str, table: Mapping[str, Any]) -> Plan:
    """Read one plan.

    Raises:
        InvalidPlan: a line for each mistake, beginning with its path in the table.
    """
    use = table.get("use")
    if use is not None and (not isinstance(use, str) or use not in READY):
        raise InvalidPlan(f"use: there is no plan {brief(use)}; there are: {', '.join(READY)}")
    make = Plan if use is None else READY[use]
    own = [each for each in inspect.signature(make).parameters if each not in {"name", "options"}]
    known = {*own, *(each.name for each in fields(Plan) if use is None or each.name not in {"name", "steps"})} - {
        "name"
    }
    mistakes = [
        f"{_shown(key)}: there is no such option; there are: {', '.join(sorted(known))}"
        for key in table
        if key not in known and key != "use"
    ]
    options = {key: value for key, value in table.items() if key in known}
    if use is None and not isinstance(options.get("steps"), list):
        mistakes.append(
            'steps: must be a list of steps, such as {weight = 0.1, bake_seconds = 30}, or say use = "canary"'
        )
        options["steps"] = [{"pause": True}]
    for key, read in READERS.items():
        if isinstance(options.get(key), list):
            options[key] = tuple(_each(key, options[key], read, mistakes))
    if isinstance(options.get("weights"), list):
        options["weights"] = tuple(options["weights"])
    if isinstance(options.get("on_failure"), str):
        with contextlib.suppress(ValueError):  # it is told with the plan's other mistakes
            options["on_failure"] = OnFailure(options["on_failure"])
    try:
        made = make(name=name, **options) if use is None else make(**options)
    except InvalidPlan as error:
        mistakes += error.message.split("\n")
    except (TypeError, ValueError) as error:
        mistakes.append(f"use: {use!r} cannot be made of this: {error}")
    if mistakes:
        raise InvalidPlan("\n".join(mistakes))
    return made


def _each(key: str, values: Sequence[Any], read: Callable[[Any], Any], mistakes: list[str]) -> Iterator[Any]:
    """Read the values of a list; what cannot be read has its place taken, so that those after it keep theirs."""
    for index, value in enumerate(values):
        try:
            yield read(value)
        except InvalidPlan as error:
            mistakes += [f"{key}[{index}]{line}" for line in error.message.split("\n")]
            yield PLACEHOLDERS[key](index)


def _step(value: Any) -> Step:
    kinds: dict[frozenset[str], Callable[..., Step]] = {
        frozenset({"weight"}): Weigh,
        frozenset({"weight", "bake_seconds"}): Weigh,
        frozenset({"pause_seconds"}): lambda pause_seconds: Wait(pause_seconds),
        frozenset({"gate"}): lambda gate: Gate(gate),
    }
    if isinstance(value, dict):
        if value.keys() == {"pause"} and value["pause"] is True:
            return Wait()
        if make := kinds.get(frozenset(value)):
            return make(**value)
    raise InvalidPlan(
        f": must be one of {{weight, bake_seconds}}, {{pause = true}}, {{pause_seconds}}, {{gate}}, not {brief(value)}"
    )


def _judge(value: Any) -> Choice:
    if isinstance(value, str):
        return Choice(value)
    if isinstance(value, dict) and isinstance(value.get("use"), str):
        return Choice(value["use"], {key: option for key, option in value.items() if key != "use"})
    raise InvalidPlan(f': must be a judge\'s name, or {{use = "name", ...}} with its options, not {brief(value)}')


def _objective(value: Any) -> Objective:
    if not isinstance(value, dict) or "name" not in value or value.keys() - {"name", "at_least", "at_most"}:
        raise InvalidPlan(f": must be {{name, at_least}} or {{name, at_most}}, not {brief(value)}")
    try:
        return Objective(**value)
    except ValueError as error:
        raise InvalidPlan(f": {error}") from error


READERS: Mapping[str, Callable[[Any], Any]] = {"steps": _step, "judges": _judge, "objectives": _objective}
PLACEHOLDERS: Mapping[str, Callable[[int], Any]] = {
    "steps": lambda index: Wait(),
    "judges": lambda index: Choice(f"#{index}"),
    "objectives": lambda index: Objective(f"unreadable_{index}", at_least=0),
}
