"""Configs as values: what may stand in one, how changes are merged, what an update came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from packaging.version import Version

from grove_core.base.errors import InvalidConfig, InvalidInput
from grove_core.base.showing import brief

Config = dict[str, Any]
"""Names to numbers, texts, booleans, None, lists and tables."""
DEEPEST = 64
"""So many tables and lists may lie within each other."""


@dataclass(frozen=True)
class ConfigReport:
    """What an update of a module's config came to."""

    module: str
    versions: tuple[Version, ...]
    """Those whose config is another one now, lowest first."""
    restarted: tuple[Version, ...]
    """Those of them that do not change it while they run: they got a new worker."""
    ms: float


def config_of(given: object) -> Config:
    """Return a config as it crosses the wire, and of which nobody else holds any part.

    Raises:
        InvalidInput: it is no mapping with names, holds what no config can, or is nested too deeply.
    """
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise InvalidInput(f"config must map names to values, not {brief(given)}")
    try:
        config: Config = msgspec.msgpack.decode(msgspec.msgpack.encode(dict(given)))
    except RecursionError:
        raise InvalidInput(f"config must not be nested more than {DEEPEST} deep") from None
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"config must hold numbers, texts, lists and tables only: {error}") from None
    if _depth(config) > DEEPEST:
        raise InvalidInput(f"config must not be nested more than {DEEPEST} deep")
    return config


def same(one: object, other: object) -> bool:
    """Tell whether two configs, or parts of them, hold the same: True is not 1 here, and NaN is NaN."""
    return msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> Config:
    """Return a config with changes merged in, as a JSON Merge Patch (RFC 7396) is: tables are merged at any depth,
    None removes a key, and everything else, lists among it, takes the place of what was there.
    """
    result = dict(config)
    for key, value in changes.items():
        before = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = value
    return result


def mistaken(module: str, version: Version, mistakes: Sequence[str]) -> InvalidConfig:
    """Return the error for a config in which a version found mistakes."""
    lines = "".join(f"\n    {line}" for line in mistakes)
    return InvalidConfig(f"its config is not as it describes it:{lines}", module=module, version=version)


def _depth(config: Config) -> int:
    depth = 0
    level: list[Any] = [config]
    while level:
        depth += 1
        parts = [part for each in level for part in (each.values() if isinstance(each, dict) else each)]
        level = [part for part in parts if isinstance(part, dict | list)]
    return depth
