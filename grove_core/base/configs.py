"""Configs as values: what may stand in one, how changes are merged, what an update came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from packaging.version import Version

from grove_core.base.errors import InvalidInput
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


def _depth(config: Config) -> int:
    depth = 0
    level: list[Any] = [config]
    while level:
        depth += 1
        parts = [part for each in level for part in (each.values() if isinstance(each, dict) else each)]
        level = [part for part in parts if isinstance(part, dict | list)]
    return depth
