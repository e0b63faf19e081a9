"""Reading the config of a module that describes it: all mistakes of it, each with its path."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from grove_core.author.module import Module
from grove_core.base.errors import InvalidColumns, PackageError
from grove_core.base.showing import brief
from grove_core.wire.config_messages import ConfigChecked

MOST = 100
"""So many mistakes are told at most."""
SHOWN = 20
"""So many values are told where only some can be."""
PLACED = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)
"""How msgspec says where a mistake is."""
LISTS = (list, tuple, set, frozenset, Sequence)
TABLES = (dict, Mapping)


def schema_of(module: type[Module]) -> dict[str, Any] | None:
    """Return the JSON Schema of a module's config; None where it does not describe it.

    Raises:
        PackageError: what describes it is no msgspec.Struct, or has fields that cannot be described.
    """
    kind = module.config_type
    if kind is None:
        return None
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        raise PackageError(f"config_type must be a subclass of msgspec.Struct, not {brief(kind)}")
    try:
        return msgspec.json.schema(kind)
    except (TypeError, NameError) as error:
        raise PackageError(f"config_type {kind.__name__} cannot be described: {error}") from error


def read(module: type[Module], config: dict[str, Any]) -> Any:
    """Return a config as a module gets it: an instance of its `config_type`, or as it is.

    Raises:
        msgspec.ValidationError: it does not fit.
    """
    return config if module.config_type is None else msgspec.convert(config, module.config_type)


def newborn_columns(module: type[Module]) -> Mapping[str, str]:
    """Return which columns of newborn are as a key of the config.

    Raises:
        PackageError: `newborn` names what is no column, or is no mapping of names.
    """
    newborn: object = module.newborn
    if not isinstance(newborn, Mapping) or not all(isinstance(each, str) for pair in newborn.items() for each in pair):
        raise PackageError(f"newborn must map columns to keys of the config, not {brief(newborn)}")
    for column in newborn:
        if column not in module.schema.names:
            there = ", ".join(module.schema.names)
            raise PackageError(f"newborn: no column is called {brief(column)}; there are {there}")
    return newborn


def newborn_of(module: type[Module], config: Any) -> dict[str, Any]:
    """Return what newborn get by a config that was read: column -> value."""
    values = {}
    plain = msgspec.to_builtins(config) if module.newborn else {}
    for column, path in module.newborn.items():
        value = plain
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            values[column] = value
    return values


def checked(module: type[Module], config: dict[str, Any]) -> ConfigChecked:
    """Find the mistakes of a config; where there are none, say what newborn get by it."""
    if module.config_type is not None and (mistakes := mistakes_of(config, module.config_type)):
        return ConfigChecked(mistakes, {})
    newborn, mistakes = newborn_of(module, read(module, config)), ()
    for column, value in newborn.items():
        try:
            if not isinstance(value, int | float):
                raise InvalidColumns(f"it is {brief(value)}, which is no number")
            module.schema.conform({column: value})
        except InvalidColumns as error:
            mistakes += (f"{module.newborn[column]}: newborn get it as their column {column}: {error.message}",)
    return ConfigChecked(mistakes, {} if mistakes else newborn)


def mistakes_of(config: dict[str, Any], kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return a line for every mistake of a config, beginning with its path; the first 100 of them."""
    found = islice(_mistakes(config, kind, ""), MOST)
    lines = tuple(f"{path.removeprefix('.') or 'config'}: {text}" for path, text in found)
    return (*lines, f"there may be more mistakes than these {MOST}") if len(lines) == MOST else lines


def _mistakes(value: Any, kind: Any, path: str) -> Iterator[tuple[str, str]]:
    """Find the mistakes of the parts of a value; only where they have none, those of it as a whole."""
    sound = True
    for found in _within(value, kind, path):
        sound = False
        yield found
    if not sound:
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        placed = PLACED.fullmatch(str(error))
        yield (path, f"{error}{_instead_of(value, kind)}") if placed is None else (path + placed[2], placed[1])


def _within(value: Any, kind: Any, path: str) -> Iterator[tuple[str, str]]:
    """Find the mistakes of what lies within a value, as far as it is clear what is meant to."""
    kind = _meant(kind)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if isinstance(value, list):
        if origin in LISTS and len(set(arguments) - {...}) == 1:
            for index, each in enumerate(value):
                yield from _mistakes(each, arguments[0], f"{path}[{index}]")
    elif isinstance(value, dict):
        if origin in TABLES and arguments:
            for key, each in value.items():
                yield from _mistakes(each, arguments[1], path + _step(key))
        elif isinstance(origin, type) and issubclass(origin, msgspec.Struct):
            yield from _within_struct(value, kind, origin.__struct_config__, path)


def _meant(kind: Any) -> Any:
    """Return the type within `Annotated`, and that of `X | None`."""
    while True:
        arguments = get_args(kind)
        if get_origin(kind) is Annotated:
            kind = arguments[0]
        elif get_origin(kind) in (Union, types.UnionType) and len(others := set(arguments) - {type(None)}) == 1:
            (kind,) = others
        else:
            return kind


def _within_struct(value: dict[Any, Any], kind: Any, config: Any, path: str) -> Iterator[tuple[str, str]]:
    if config.array_like:  # it is no table
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    tag = None if config.tag is None else config.tag_field
    for key in value:
        if key not in fields and key != tag:
            yield path + _step(key), _unknown(key, fields)
    for name, field in fields.items():
        if name in value:
            yield from _mistakes(value[name], field.type, path + _step(name))
        elif field.required:
            yield path + _step(name), "it is missing"


def _instead_of(value: Any, kind: Any) -> str:
    """Return what there is instead of a value of which only some can be."""
    kind = _meant(kind)
    if get_origin(kind) is Literal:
        values = list(get_args(kind))
    elif isinstance(kind, type) and issubclass(kind, Enum):
        values = [each.value for each in kind]
    else:
        return ""
    more = ["..."] if len(values) > SHOWN else []
    return f"{_near(value, filter(_is_text, values))}; there are: {', '.join([*map(brief, values[:SHOWN]), *more])}"


def _unknown(key: Any, known: Mapping[str, Any]) -> str:
    return f"there is no such key{_near(key, known)}; there are: {', '.join(sorted(known)) or 'none'}"


def _near(given: Any, there: Iterable[str]) -> str:
    """Return what may be meant by what is not there."""
    near = difflib.get_close_matches(str(given), list(there), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _step(key: Any) -> str:
    """Return a key as a part of a path."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{brief(key)}]"
